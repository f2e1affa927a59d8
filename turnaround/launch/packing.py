"""What copies of a run do on one device side by side, measured in throw-away processes.

    packing = measured(plan, home)
    packing.line()                      # "2 a device: 1.7 × the trials an hour, 0.4 of 24 GB"

They are the run itself, without an end. By turns all of them are at it, or one while the others
are stopped, so that whatever else the machine does is in both; as many again join them as long as
that brings more. On a CPU a device is as many cores as the plan has threads, to which all keep.

Where somebody else uses these cores as well, copies get more of them the more they are, of runs
that only compute 5.4 times as much for eight: so the time in which the one waited for a core is
not counted.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from turnaround.errors import LaunchError
from turnaround.forecast.packing import Crowd, Packing, choose, full
from turnaround.launch.facts import inventory
from turnaround.launch.throwaway import GLANCE, Done, Limits, carried_out
from turnaround.spec import PARTS, Budget, Event, Plan

WARM = 3  # times that a copy has said how far it is before it counts: the first steps are slow
TURNS = 3
SECONDS = 1.5  # of each half of a turn
LOOKS = 3  # times that a copy says how far it is meanwhile
PATIENCE = 120.0  # seconds for copies to get that far
HINT = "sweep.pack=false, or cluster.share=1/2 without a measurement"


def measured(plan: Plan, root: Path, free: float = 0.0) -> Packing:
    """How many such runs a device does most for.

    `free` bytes are there for those of one device; 0: what the machine says.
    """
    room, used = _memory(plan)
    room = free or room
    found, more, copies = list[Crowd](), "", list[_Copy]()
    with contextlib.ExitStack() as stack:
        for count in (round(1 / part) for part in PARTS[1:]):
            if found and (more := full(count, 2 * found[-1].memory, room)):
                break
            fresh = [_Copy(plan, root) for _ in range(count - len(copies))]
            try:
                with _stopped(copies):  # a start takes seconds of the core that all keep to
                    for copy in fresh:
                        stack.enter_context(copy)
                    _warm(fresh)
                copies += fresh
                alone, gain = _gain(copies)
            except LaunchError as error:
                if not found:
                    raise
                more = f"{count} failed: {error.message}"
                break
            found.append(Crowd(count, gain, alone, used([copy.pid for copy in copies])))
            if choose(found, room).copies < count:
                break
        for copy in copies:
            copy.leave()  # all at once: one after another they took a second each
    return choose(found, room, more)


def _gain(copies: Sequence[_Copy]) -> tuple[float, float]:
    """Examples/s of one alone, and how many times those of one on a free machine all do."""
    first, *others = copies
    alone, gains = [], []
    for _ in range(TURNS):
        together = sum(_rates(copies))
        with _stopped(others):
            began, waited = time.monotonic(), first.waited
            alone += _rates([first])
            shut_out = (first.waited - waited) / (time.monotonic() - began)
        gains.append(together * max(0.0, 1 - shut_out) / alone[-1])
    return statistics.median(alone), min(statistics.median(gains), float(len(copies)))


def _warm(copies: Sequence[_Copy]) -> None:
    """Wait until they are."""
    for _ in _while_alive(copies):
        if all(copy.warm for copy in copies):
            return


def _rates(copies: Sequence[_Copy]) -> list[float]:
    """Examples/s of each, from now on."""
    since, rates = time.time(), list[float | None]()
    for _ in _while_alive(copies):
        rates = [copy.rate(since) for copy in copies]
        if None not in rates:
            break
    return [rate for rate in rates if rate is not None]


def _while_alive(copies: Sequence[_Copy]) -> Iterator[int]:
    """Look and wait; LaunchError when that leads nowhere."""
    deadline = time.monotonic() + PATIENCE
    for look in itertools.count():
        yield look
        if time.monotonic() > deadline:
            raise LaunchError(f"a probe was not done in {PATIENCE:.0f} s", HINT)
        if done := next((copy.done for copy in copies if copy.done), None):
            raise LaunchError(f"a probe failed: {done.reason}", HINT)
        time.sleep(GLANCE)


@contextlib.contextmanager
def _stopped(copies: Sequence[_Copy]) -> Iterator[None]:
    """They hold what they hold, and do nothing."""
    for copy in copies:
        copy.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for copy in copies:
            copy.signal(signal.SIGCONT)


class _Copy:
    """One of them, which trains until it is told that it is enough."""

    def __init__(self, plan: Plan, root: Path) -> None:
        self.pid = 0
        self.done: Done | None = None
        self._cores = _cores(plan.cluster.threads or 1) if plan.cluster.device == "cpu" else ()
        self._told: list[tuple[float, int]] = []  # when, and how many examples it has seen
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._live, args=[_endless(plan), root], daemon=True)

    @property
    def warm(self) -> bool:
        """It has found its pace."""
        return len(self._told) > WARM

    @property
    def waited(self) -> float:
        """Seconds in which it could have run, but had no core: of the thread that had most."""
        files = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return max((_second(file) for file in files), default=0.0) / 1e9

    def rate(self, since: float) -> float | None:
        """Examples/s from that moment on; none: not known yet."""
        told = [(when, examples) for when, examples in self._told if when > since]
        if len(told) < LOOKS or told[-1][0] - told[0][0] < SECONDS:
            return None
        return (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0])

    def signal(self, number: int) -> None:
        """To its process, as long as there is one."""
        if self.pid and self.done is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def __enter__(self) -> _Copy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._thread.join()

    def leave(self) -> None:
        """It is enough."""
        self._enough.set()

    def _live(self, plan: Plan, root: Path) -> None:
        limits = Limits(10 * PATIENCE)
        self.done = carried_out(plan, root, limits, self._hear, self._enough.is_set)

    def _hear(self, event: Event) -> None:
        if event.kind == "worker":
            self.pid = event.data["pid"]
            self._keep()
        elif event.kind == "progress":
            self._told.append((event.time, event.data["examples"]))

    def _keep(self) -> None:
        """It keeps to its cores from now on: until here it had all, as there was much to import."""
        for thread in Path(f"/proc/{self.pid}/task").glob("*") if self._cores else ():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), self._cores)


def _endless(plan: Plan) -> Plan:
    """An hour is more than they get; evaluations come as often as somebody has asked for."""
    evaluate = replace(plan.evaluate, patience=None)
    return replace(plan, budget=Budget(time=3600.0), evaluate=evaluate, fork=None, until=None)


# ── devices ──


def _cores(count: int) -> tuple[int, ...]:
    """The first of those that this process may use; none where it cannot choose."""
    if not hasattr(os, "sched_getaffinity"):
        return ()  # macOS
    return tuple(sorted(os.sched_getaffinity(0))[:count])


def _second(file: Path) -> float:
    """Number of a file of numbers; 0 where there is none."""
    with contextlib.suppress(OSError, IndexError):
        return float(file.read_text().split()[1])
    return 0.0


def _memory(plan: Plan) -> tuple[float, Callable[[Sequence[int]], float]]:
    """Bytes that there are for the runs of one device, and what tells how many processes hold."""
    if plan.cluster.device == "cuda":
        before, whole = _gpu()
        return whole - before, lambda pids: _gpu()[0] - before
    devices = max(1, inventory().cpus // (plan.cluster.threads or 1))
    return psutil.virtual_memory().available / devices, _own


def _own(pids: Sequence[int]) -> float:
    """Bytes that nobody else has mapped: one more run brings no second copy of the libraries."""
    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().uss
    return float(total)


def _gpu() -> tuple[float, float]:
    """Bytes of the first GPU that this process may use: held, and all."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"
    query = ["--query-gpu=memory.used,memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(
        ["nvidia-smi", f"--id={first}", *query], capture_output=True, text=True, check=True
    )
    used, whole = (2**20 * float(number) for number in told.stdout.split(","))
    return used, whole
