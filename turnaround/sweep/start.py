"""A sweep seen from outside: its driver started, found and told to stop.

is_sweep(journal, run)                     # a sweep is a run with a file of its own
ensure(journal, run.id)                    # somebody drives it, from now on without us
with Ahead(home) as ahead: ...             # the same, with a driver that is started beforehand
wake(home)                                 # after a reboot: those that have a window
stop(journal, run.id)                      # its runs save and stop, and then it does
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.spec import Event
from turnaround.tracking.start import Lock, holder

COME_UP = 30.0  # seconds that the driver has to come up; it takes 0.4
WAKE = 3.0  # the same, where a command waits that is about something else


def is_sweep(journal: Journal, run: Run) -> bool:
    """It is one of ours."""
    return (journal.folder(run.id) / "sweep.json").exists()


class Ahead:
    """A driver that imports what it needs (0.4 s) while its sweep is not written down yet.

    It leaves when nobody has named one before the end of the `with`.
    """

    def __init__(self, root: Path) -> None:
        reading, self._line = os.pipe()
        try:
            _launch(root, ["--told", str(reading)], subprocess.DEVNULL, [reading])
        finally:
            os.close(reading)

    def tell(self, sweep: str) -> bool:
        """Let it drive that one; False when it is gone."""
        try:
            return os.write(self._line, f"{sweep}\n".encode()) > 0
        except OSError:
            return False

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._line)


def ensure(
    journal: Journal, sweep: str, ahead: Ahead | None = None, patience: float = COME_UP
) -> None:
    """Start the sweep's driver, detached, unless it is there; it answers for the sweep then."""
    if driver(journal, sweep):
        return
    folder, before = journal.folder(sweep), journal.run(sweep).attempt
    if ahead is None or not ahead.tell(sweep):
        with (folder / "log.txt").open("ab") as log:
            _launch(journal.root, ["--sweep", sweep], log)
    deadline = time.monotonic() + patience
    while journal.run(sweep).attempt == before:
        if time.monotonic() > deadline:
            message = f"the driver of {sweep} has not come up in {patience:.0f} s"
            raise LaunchError(message, f"{folder}/log.txt says why")
        time.sleep(0.02)


def _launch(root: Path, words: list[str], log: IO[bytes] | int, fds: Sequence[int] = ()) -> None:
    """A driver's process, detached."""
    command = ["-P", "-m", "turnaround.sweep.process", "--home", str(root), *words]
    subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@" &', sys.executable, *command],  # nobody's child
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=fds,
        start_new_session=True,  # closing the terminal must not end it
        cwd="/",
        env={**os.environ, "TURNAROUND_HOME": str(root)},
    )


def driver(journal: Journal, sweep: str) -> int | None:
    """The process that drives it, while it lives."""
    return holder(journal.folder(sweep) / "driver.lock")


def settled(journal: Journal, sweep: str) -> bool:
    """Nobody drives it any more; one that has said its last word gets the time to leave."""
    deadline = time.monotonic() + COME_UP
    while driver(journal, sweep):
        if not journal.run(sweep).status.over or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(journal: Journal, sweep: str) -> None:
    """Ask the driver to stop its runs and leave."""
    if pid := driver(journal, sweep):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def kept(journal: Journal, sweep: str) -> Iterator[None]:
    """While it is driven there is a mark; where a driver was killed, or the machine went down, the
    mark stays."""
    mark = journal.root / "driven" / sweep
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    yield
    mark.unlink(missing_ok=True)


def wake(root: Path) -> list[str]:
    """Sweeps with a window whose drivers are gone are driven on, unless they are over; what there
    is to say of each. One that cannot be is in nobody's way."""
    marks = root / "driven"
    journal, said = Journal(root), []
    for sweep in sorted(os.listdir(marks)) if marks.is_dir() else ():
        try:
            if _wakes(journal, sweep):
                said.append(f"{sweep} goes on, whose driver was gone")
        except (TurnaroundError, OSError, ValueError, KeyError) as error:
            said.append(f"{sweep} does not go on yet: {str(error) or type(error).__name__}")
    return said


def _wakes(journal: Journal, sweep: str) -> bool:
    found = journal.runs("id=?", [sweep])
    if not found or found[0].status.over or not is_sweep(journal, found[0]):
        (journal.root / "driven" / sweep).unlink(missing_ok=True)
    elif driver(journal, sweep) is None and waits(journal, sweep):
        ensure(journal, sweep, patience=WAKE)
        return True
    return False


def waits(journal: Journal, sweep: str) -> bool:
    """It was asked for a time of its own, so that nobody sits in front of it."""
    asked = json.loads((journal.folder(sweep) / "sweep.json").read_text())
    return any(value is not None for value in asked["window"].values())


def lock(journal: Journal, sweep: str) -> Lock:
    """What only one driver holds."""
    return Lock(journal.folder(sweep) / "driver.lock")


def add(journal: Journal, sweep: str, kind: str, **data: object) -> None:
    """A word for the driver that comes next: `more` trials, or some `again`."""
    journal.append(sweep, Event(kind, dict(data), time.time(), journal.run(sweep).attempt))
