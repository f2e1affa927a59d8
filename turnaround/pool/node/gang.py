"""The workers of one attempt of a run on this machine: forked, heard and ended together.

    gang = Gang(run, attempt, placement, Meeting("10.0.0.7"))
    gang.meet(size)                       # where rank 0 listens, if it is one of them
    gang.carry_out(journal, nursery, cores, tell)     # in a thread; then gang.outcome is there
    gang.stop()                           # SIGTERM: they save and leave; SIGKILL after the grace

What the workers say is appended to the run's event file on this machine.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from turnaround.errors import TurnaroundError
from turnaround.journal import Journal
from turnaround.pool.machines import visible_gpus
from turnaround.pool.messages.ear import pump
from turnaround.pool.node.cores import Cores
from turnaround.pool.node.hang import Silence
from turnaround.pool.node.interference import Crowding
from turnaround.pool.node.nursery import Nursery
from turnaround.pool.node.outcome import LOST, STOP_GRACE, UNSAVED, Outcome, verdict
from turnaround.pool.node.spawn import STACK
from turnaround.pool.places import LOCAL
from turnaround.spec import Assignment, Plan, to_dict

_ANSWER = 1.5  # seconds in which a rank writes where it is
_PEER_GRACE = 5.0  # seconds the others have once a rank has failed
_MEETING_GRACE = 1.0  # the same while they meet: torch then hears no signal, and waits for minutes
HIDDEN = ("RAY_", "TURNAROUND_", "PYTHONBREAKPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Placement:
    """What a gang holds of a machine."""

    cpus: float = 0
    gpus: list[int] = field(default_factory=list)  # indices
    ranks: list[int] = field(default_factory=list)  # that are there; none: all of the plan's
    machine: str = ""  # its id; none: there is only one
    share: float = 1  # of each of its GPUs; of a CPU it has `cpus`


@dataclass(frozen=True)
class Meeting:
    """Where the ranks of a gang find each other."""

    address: str = LOCAL  # of this machine
    store: str | None = None  # host:port, when rank 0 listens on another one


class Gang:
    """Those workers of one attempt that are on this machine."""

    def __init__(
        self, run: str, attempt: int, placement: Placement, meeting: Meeting | None = None
    ) -> None:
        self.run = run
        self.attempt = attempt
        self.placement = placement
        self.running = False
        self.outcome: Outcome | None = None
        self._meeting = meeting or Meeting()
        self._listener: socket.socket | None = None  # of rank 0
        self._store = self._meeting.store
        self._pids: dict[int, int] = {}  # rank → pid
        self._codes: dict[int, tuple[int, float]] = {}  # rank → exit code, and when
        self._killed: set[int] = set()  # ranks that we have ended
        self._stopping = False
        self._hurried = False  # it was decided on another machine
        self._crowding = Crowding(None, None)
        self._slow = False  # beside others on its device
        self._cores: list[int] = []  # where they may be; none: where they like
        self._silence = Silence(time.monotonic())
        self._silent = 0.0  # seconds, once they are more than a step may take
        self._changed = threading.Condition()

    def state(self) -> dict[str, Any]:
        """For the scheduler."""
        outcome = asdict(self.outcome) if self.outcome else None
        fields = {"run": self.run, "attempt": self.attempt, "running": self.running}
        codes = [[rank, code, when] for rank, (code, when) in dict(self._codes).items()]
        fields |= {"codes": codes, "stopping": self._stopping}
        fields |= {"silent": self._silent, "step": self._silence.step, "slow": self._slow}
        return {**fields, "placement": asdict(self.placement), "outcome": outcome}

    def meet(self, size: int) -> str | None:
        """Where rank 0 of `size` listens, from now on if it is one of these."""
        if size > 1 and self._store is None:
            alone = len(self.placement.ranks or range(size)) == size
            self._listener = _listener(LOCAL if alone else self._meeting.address)
            self._store = "{}:{}".format(*self._listener.getsockname())
        return self._store

    def carry_out(
        self,
        journal: Journal,
        nursery: Callable[[str], Nursery],
        cores: Cores,
        tell: Callable[[], None],
    ) -> None:
        """Fork every rank, collect their events, wait for the end; `tell` of each change."""
        try:
            plan = journal.plan(self.run)
            self._crowding = Crowding(plan.cluster.share, plan.alone)
            with cores.kept(*self._keeps(plan)) as self._cores:
                ends = self._fork(plan, journal, nursery(plan.place.interpreter))
                self.running = True
                if self._stopping:  # asked for between two forks
                    self._signal(signal.SIGTERM)
                tell()
                over = threading.Event()
                words = [ends, journal, self.run, over, functools.partial(self._heard, tell)]
                pumping = threading.Thread(target=pump, args=words, daemon=True)
                pumping.start()
                self._wait(plan.vital, tell)
            over.set()
            pumping.join(timeout=5)
            codes = [(rank, code) for rank, (code, _) in self._codes.items()]
            self.outcome = verdict(codes, plan.vital, self._stopping)
        except (TurnaroundError, OSError) as error:
            self.stop(grace=0)
            self.outcome = Outcome(
                LOST, lost=True, message=f"the workers could not be started: {error}"
            )
        self.running = False
        tell()

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask every worker to save and leave; after the grace, make them."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if not grace:
            self._kill()
            return
        self._signal(signal.SIGTERM)
        timer = threading.Timer(grace, self._kill)
        timer.daemon = True
        timer.start()

    def hurry(self) -> None:
        """It has been decided elsewhere: these, too, have a few seconds left."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def stacks(self, folder: Path) -> dict[str, Any]:
        """Where each rank is that has not ended: what it wrote when asked, and its state."""
        with self._changed:
            asked = {r: pid for r, pid in self._pids.items() if r not in self._codes}
            self._silence.hear(b"", time.monotonic())
            self._silent = 0.0
        files = {rank: folder / STACK.format(rank=rank) for rank in asked}
        used = {rank: _cpu(pid) for rank, pid in asked.items()}
        for rank, pid in asked.items():
            with contextlib.suppress(OSError):
                os.truncate(files[rank], 0)
                os.kill(pid, signal.SIGUSR1)
        time.sleep(_ANSWER)
        shares = {rank: (_cpu(pid) - used[rank]) / _ANSWER for rank, pid in asked.items()}
        return {
            str(rank): {**_stack(files[rank], pid), "cpu": shares[rank]}
            for rank, pid in asked.items()
        }

    def _heard(self, tell: Callable[[], None], lines: list[bytes]) -> None:
        """The workers said something, or nothing; only rank 0 tells of every step."""
        if 0 not in self._pids:
            return
        now = time.monotonic()
        for line in lines:
            self._silence.hear(line, now)
            self._crowding.hear(line)
        if self._slow is not self._crowding.slow:
            self._slow = self._crowding.slow
            tell()
        if not self._silent and self._silence.long(now):
            self._silent = self._silence.since(now)
            tell()

    # ── starting ──

    def _keeps(self, plan: Plan) -> tuple[int, float]:
        """To how many cores it keeps, and to which part of them; a trial does, as many fill them.

        The processes of a larger gang wait for each other, and have threads that talk meanwhile.
        """
        asked, count = plan.cluster, plan.cluster.threads or 1
        trial = asked.priority < 0 or asked.share is not None
        fits = self.placement.cpus == count * (asked.share or 1)
        return (count if trial and fits and plan.devices == 1 else 0), asked.share or 1

    def _fork(self, plan: Plan, journal: Journal, nursery: Nursery) -> list[int]:
        folder = journal.folder(self.run)
        store = self.meet(plan.devices)
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        reading = []
        try:
            for local, rank in enumerate(self.placement.ranks or range(plan.devices)):
                ours, theirs = os.pipe()
                reading.append(ours)
                extra = [self._listener.fileno()] if self._listener and rank == 0 else []
                request = self._request(plan, journal, (rank, local), store)
                ended = functools.partial(self._ended, rank)
                try:
                    if plan.cluster.isolate or plan.devices > 1:
                        pid = nursery.fork(request, [log, theirs, *extra], ended)
                    else:
                        pid = nursery.lend(request, [log, theirs], ended, _kind(request, plan))
                    self._pids[rank] = pid
                finally:
                    os.close(theirs)
        except (TurnaroundError, OSError):
            for end in reading:
                os.close(end)
            raise
        finally:
            os.close(log)
            if self._listener:
                self._listener.close()
        return reading

    def _request(
        self, plan: Plan, journal: Journal, place: tuple[int, int], store: str | None
    ) -> dict[str, Any]:
        """What the forkserver is told about a rank, `place` of all and of those that are here."""
        gpus, (rank, local) = self.placement.gpus, place
        folder = journal.folder(self.run)
        assignment = Assignment(
            run=self.run,
            folder=str(folder),
            code=str(journal.root / "snapshots" / str(plan.place.snapshot) / "tree"),
            attempt=self.attempt,
            rank=rank,
            size=plan.devices,
            device="cuda" if gpus else "cpu",
            index=0 if gpus else None,
            threads=plan.cluster.threads or 1,
            store=store,
            forked=time.time(),
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
        environ = {
            **kept,
            **_interfaces(self._meeting.address, store),
            **plan.place.environ,
            "CUDA_VISIBLE_DEVICES": _gpu(gpus[local]) if gpus else "",
            "OMP_NUM_THREADS": str(assignment.threads),
            "PYTHONUNBUFFERED": "1",
        }
        return {
            "plan": str(folder / "plan.json"),
            "assignment": to_dict(assignment),
            "cores": self._cores,
            "environ": environ,
        }

    # ── ending ──

    def _ended(self, rank: int, code: int) -> None:
        with self._changed:
            ours = rank in self._killed and code == -signal.SIGKILL
            self._codes[rank] = LOST if ours else code, time.time()
            self._changed.notify_all()

    def _wait(self, vital: int, tell: Callable[[], None]) -> None:
        """Until every rank has ended; the others get a few seconds once a vital one has failed.

        Where some are not vital, all get no longer than that once the vital ones have ended.
        """
        deadline: float | None = None
        told = 0
        with self._changed:
            while len(self._codes) < len(self._pids):
                if deadline is None and (grace := self._grace(vital)) is not None:
                    deadline = time.monotonic() + grace
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    self._kill()
                    deadline = left = None
                if told < len(self._codes) < len(self._pids):  # of the last the outcome tells
                    told = len(self._codes)
                    tell()
                self._changed.wait(left if left is not None else 1.0)

    def _grace(self, vital: int) -> float | None:
        """Seconds that the ranks which are left have from now on; none: all that they need."""
        codes = [code for rank, (code, _) in self._codes.items() if rank < vital]
        if self._stopping:  # who is asked to stop needs time to save,
            early = any(code in UNSAVED for code in codes)  # but not before all have met
            return _MEETING_GRACE if early else None
        return _PEER_GRACE if self._hurried or any(codes) or len(codes) == vital else None

    def _kill(self) -> None:
        self._killed |= self._pids.keys() - self._codes.keys()
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with self._changed:  # a worker that stays is at somebody else's run once it has ended ours
            for rank, pid in self._pids.items():
                if rank not in self._codes:
                    with contextlib.suppress(ProcessLookupError):  # its exit code is on the way
                        os.kill(pid, number)


def _gpu(index: int) -> str:
    """The name of one of the GPUs that this daemon may use: others on this machine are not ours."""
    names = visible_gpus()
    return names[index] if names else str(index)


def _kind(request: dict[str, Any], plan: Plan) -> str:
    """What a worker that stays keeps from run to run: equal for runs that it may carry out."""
    told = request["assignment"]
    same = [told["code"], told["device"], told["threads"], plan.place.project, plan.recipe.name]
    return json.dumps([same, request["environ"]], sort_keys=True)


def _listener(address: str) -> socket.socket:
    """A listening socket for the rendezvous, handed to rank 0.

    Passing a port number instead lets rank 1 connect before rank 0 listens: back-offs up to 10 s
    were measured.
    """
    listener = socket.create_server((address, 0), backlog=512)
    listener.set_inheritable(True)
    return listener


def _interfaces(address: str, store: str | None) -> dict[str, str]:
    """The network interface of this machine that leads to the others, for gloo and NCCL.

    Left to themselves they take the one that the host's name resolves to, which may be any.
    """
    if store is None or store.startswith(f"{LOCAL}:"):
        return {}
    every = psutil.net_if_addrs().items()
    found = [name for name, known in every if any(each.address == address for each in known)]
    return {name: found[0] for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if found}


def _stack(file: Path, pid: int) -> dict[str, str]:
    try:
        state = psutil.Process(pid).status()
        return {"text": file.read_text(errors="replace"), "state": str(state)}
    except (OSError, psutil.Error):
        return {"text": "", "state": "gone"}


def _cpu(pid: int) -> float:
    """Seconds of a core that the process has used."""
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0
