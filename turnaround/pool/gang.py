"""The workers of one attempt of a run: forked together, heard together, ended together.

gang = Gang(run, attempt, placement) gang.start(nursery, journal)        # in a thread of its own;
gang.outcome is set when it is over gang.stop()                         # SIGTERM: workers save and
leave; SIGKILL when the grace is over
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from turnaround.errors import TurnaroundError
from turnaround.journal import EventFile, Journal
from turnaround.pool.nursery import Nursery
from turnaround.spec import Assignment, Plan, to_dict

STOP_GRACE = 30.0  # seconds to save in; torchrun gives as many
_GLANCE = 0.05  # seconds until an event is in the run's file
_PEER_GRACE = 5.0  # seconds the others have once a rank has failed
_LOST = 3  # exit code: a peer or the machine failed, not the user's code
_HIDDEN = ("RAY_", "TURNAROUND_", "PYTHONBREAKPOINT", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Placement:
    """What a gang holds of its node."""

    cpus: int = 0
    gpus: list[int] = field(default_factory=list)  # indices


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    exit_code: int
    lost: bool = False  # a worker was killed, or could not be started: another attempt may succeed
    message: str = ""


class Gang:
    """All workers of one attempt."""

    def __init__(self, run: str, attempt: int, placement: Placement) -> None:
        self.run = run
        self.attempt = attempt
        self.placement = placement
        self.running = False
        self.outcome: Outcome | None = None
        self._pids: dict[int, int] = {}  # rank → pid
        self._codes: dict[int, int] = {}  # rank → exit code, in the order in which they ended
        self._stopping = False
        self._changed = threading.Condition()

    def state(self) -> dict[str, Any]:
        """For the scheduler."""
        outcome = asdict(self.outcome) if self.outcome else None
        fields = {"run": self.run, "attempt": self.attempt, "running": self.running}
        return {**fields, "placement": asdict(self.placement), "outcome": outcome}

    def carry_out(
        self, journal: Journal, nursery: Callable[[str], Nursery], tell: Callable[[], None]
    ) -> None:
        """Fork every rank, collect their events, wait for the end; `tell` of each change."""
        try:
            plan = journal.plan(self.run)
            ends = self._fork(plan, journal, nursery(plan.place.interpreter))
            self.running = True
            tell()
            over = threading.Event()
            words = [ends, journal, self.run, over]
            pump = threading.Thread(target=_pump, args=words, daemon=True)
            pump.start()
            self._wait(plan.devices, plan.vital)
            over.set()
            pump.join(timeout=5)
            self.outcome = self._judge(plan.vital)
        except (TurnaroundError, OSError) as error:
            self.stop(grace=0)
            self.outcome = Outcome(
                _LOST, lost=True, message=f"the workers could not be started: {error}"
            )
        self.running = False
        tell()

    def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask every worker to save and leave; after the grace, make them."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._signal(signal.SIGTERM if grace else signal.SIGKILL)
        if grace:
            timer = threading.Timer(grace, self._signal, [signal.SIGKILL])
            timer.daemon = True
            timer.start()

    # ── starting ──

    def _fork(self, plan: Plan, journal: Journal, nursery: Nursery) -> list[int]:
        folder = journal.folder(self.run)
        size = plan.devices
        listener = _listener() if size > 1 else None
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        reading = []
        try:
            for rank in range(size):
                ours, theirs = os.pipe()
                reading.append(ours)
                extra = [listener.fileno()] if listener and rank == 0 else []
                request = self._request(plan, journal, rank, _address(listener))
                ended = functools.partial(self._ended, rank)
                try:
                    self._pids[rank] = nursery.fork(request, [log, theirs, *extra], ended)
                finally:
                    os.close(theirs)
        finally:
            os.close(log)
            if listener:
                listener.close()
        return reading

    def _request(
        self, plan: Plan, journal: Journal, rank: int, store: str | None
    ) -> dict[str, Any]:
        gpus = self.placement.gpus
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
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN)}
        environ = {
            **kept,
            **plan.place.environ,
            "CUDA_VISIBLE_DEVICES": str(gpus[rank]) if gpus else "",
            "OMP_NUM_THREADS": str(assignment.threads),
            "PYTHONUNBUFFERED": "1",
        }
        return {
            "plan": str(folder / "plan.json"),
            "assignment": to_dict(assignment),
            "environ": environ,
        }

    # ── ending ──

    def _ended(self, rank: int, code: int) -> None:
        with self._changed:
            self._codes[rank] = code
            self._changed.notify_all()

    def _wait(self, size: int, vital: int) -> None:
        """Until every rank has ended; the others get a few seconds once a vital one has failed.

        Where some are not vital, all get no longer than that once the vital ones have ended.
        """
        deadline: float | None = None
        with self._changed:
            while len(self._codes) < size:
                codes = [code for rank, code in self._codes.items() if rank < vital]
                decided = any(codes) or len(codes) == vital
                if deadline is None and decided and not self._stopping:
                    deadline = time.monotonic() + _PEER_GRACE
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    self._signal(signal.SIGKILL)
                    deadline = left = None
                self._changed.wait(left if left is not None else 1.0)

    def _judge(self, vital: int) -> Outcome:
        """One verdict from the ranks' exit codes: the first that failed by itself is the cause.

        What became of ranks that are not vital decides nothing.
        """
        failed = [(rank, code) for rank, code in self._codes.items() if code and rank < vital]
        if not failed:
            return Outcome(0)
        own = [(rank, code) for rank, code in failed if code not in (_LOST, -signal.SIGKILL)]
        killed = [(rank, code) for rank, code in failed if code < 0]
        if killed and not self._stopping:
            rank, code = killed[0]
            return Outcome(_LOST, True, f"rank {rank} died ({signal.Signals(-code).name})")
        if own and own[0][1] > 0:
            return Outcome(own[0][1])
        if self._stopping:
            grace = f"not saved within {STOP_GRACE:.0f} s"
            return Outcome(75, message=f"killed: {grace}; resumes from the checkpoint before")
        return Outcome(_LOST, True, f"rank {failed[0][0]} lost its peers")

    def _signal(self, number: int) -> None:
        for rank, pid in self._pids.items():
            if rank not in self._codes:
                with contextlib.suppress(ProcessLookupError):  # ended; its exit code is on the way
                    os.kill(pid, number)


def _listener() -> socket.socket:
    """A listening socket for the rendezvous, handed to rank 0.

    Passing a port number instead lets rank 1 connect before rank 0 listens: back-offs up to 10 s
    were measured.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.set_inheritable(True)
    return listener


def _address(listener: socket.socket | None) -> str | None:
    return "{}:{}".format(*listener.getsockname()) if listener else None


def _pump(ends: list[int], journal: Journal, run: str, over: threading.Event) -> None:
    """Append what the workers say to the run's event file, until all pipes are closed.

    It looks by itself and at once when the workers are over, and never waits for a line: a writer
    that wakes its reader may lose its core to it (15 µs a line, 10 ms where cores are short).
    """
    with EventFile(journal.folder(run)) as file:
        rests = dict.fromkeys(ends, b"")
        backlog: list[bytes] = []  # what a full disk would not take
        while rests:
            over.wait(_GLANCE)
            over.clear()
            for end in [*rests]:
                data, closed = _drained(end)
                *lines, rests[end] = (rests[end] + data).split(b"\n")
                backlog = _append(file, [*backlog, *lines])
                if closed:
                    os.close(end)
                    del rests[end]


def _drained(end: int) -> tuple[bytes, bool]:
    """What is in the pipe, and whether that was all there will ever be."""
    os.set_blocking(end, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(end, 1 << 16):
            data += more
        return data, True
    return data, False


def _append(file: EventFile, lines: list[bytes]) -> list[bytes]:
    """What a full disk would not take, at most the newest 10,000; training goes on."""
    try:
        if lines:
            file.write(*lines)
        return []
    except OSError:
        return lines[-10_000:]
