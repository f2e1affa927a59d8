"""A short run in processes of their own, of which nothing is left but what it said.

    done = carried_out(plan, home, Limits(seconds=20.0), heard=print)
    done.events, done.code, done.log

It is an inline gang in a temporary home; only what recipes keep, and code that was frozen, are the
real ones. What goes wrong there, a memory that is full for one, ends these processes and no other.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from turnaround.journal import Journal, read_events
from turnaround.launch import inline
from turnaround.spec import Event, Plan, Tracking, from_json, to_json

GLANCE = 0.1  # seconds between looks at what was said
LEAVE = 1.0  # seconds to leave in after SIGTERM
_PR_SET_PDEATHSIG = 1  # in prctl.h


@dataclass(frozen=True)
class Limits:
    """What it may take."""

    seconds: float
    memory: int | None = None  # bytes that each process may allocate


@dataclass(frozen=True)
class Done:
    """What is left."""

    events: list[Event]
    code: int | None  # none: it was not done in time
    log: str

    @property
    def reason(self) -> str:
        """Why it failed, in a line."""
        errors = [event.data["message"] for event in self.events if event.kind == "error"]
        return next(iter(errors), (self.log.strip().splitlines() or ["no word of why"])[-1])


def carried_out(
    plan: Plan,
    root: Path,
    limits: Limits,
    heard: Callable[[Event], None] = lambda event: None,
    enough: Callable[[], bool] = lambda: False,
) -> Done:
    """The plan, without tracking and a name; `heard` gets each event soon after it was said.

    It is ended early once there is `enough`.
    """
    cache = root / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "cache").symlink_to(cache)
        (home / "snapshots").symlink_to(root / "snapshots")
        (home / "plan.json").write_text(to_json(_short(plan)))
        with _process(plan, home, limits) as process:
            events = list(_listening(process, home, _late(limits, enough), heard))
            return Done(events, process.poll(), (home / "log.txt").read_text(errors="replace"))


def _late(limits: Limits, enough: Callable[[], bool]) -> Callable[[], bool]:
    """Its time is over."""
    until = time.monotonic() + limits.seconds
    return lambda: enough() or time.monotonic() > until


def _short(plan: Plan) -> Plan:
    return replace(
        plan,
        tracking=Tracking("none"),
        cluster=replace(plan.cluster, name="inline"),
        init_from=None,
        name=None,
    )


@contextlib.contextmanager
def _process(plan: Plan, home: Path, limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    """Rank 0, which starts the others; afterwards none of them is there any more."""
    command = [plan.place.interpreter, "-P", "-m", "turnaround.launch.throwaway", str(home)]
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(limits.memory or 0), str(os.getpid())],
            env={**os.environ, "TURNAROUND_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nobody's processes are touched but those that it started."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LEAVE)
    process.kill()
    process.wait()
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()  # does nothing to another that has got its number


def _listening(
    process: subprocess.Popen[bytes],
    home: Path,
    late: Callable[[], bool],
    heard: Callable[[Event], None],
) -> Iterator[Event]:
    """What it says, until it has ended or its time is over."""
    place, over = 0, False
    while not over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GLANCE)
        over = process.returncode is not None or late()
        for file in home.glob("runs/*/events.jsonl"):
            for event, after in read_events(file, place):
                place = after
                heard(event)
                yield event


def main(home: str, memory: str, parent: str) -> int:
    """Rank 0's process; what it may have is true of the other ranks as well.

    It dies with the thread that started it: nobody else would end it for an hour.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return 1  # too late for the signal
    if int(memory):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    plan = from_json(Plan, (Path(home) / "plan.json").read_text())
    return inline.run(plan, Journal(Path(home)), lambda event: None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
