"""Going round all runs of a journal that are to be in one MLflow store."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from turnaround.errors import JournalError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.spec import Status
from turnaround.tracking.follower import Follower
from turnaround.tracking.machine import Machine
from turnaround.tracking.start import HOLD, Lag, batch, ended, left, tell
from turnaround.tracking.store import Store

logger = logging.getLogger(__name__)

ROUND, SLOWEST = 1.0, 10.0  # seconds between rounds: when all is well, after many failures


class Rounds:
    """What is left, how it goes, and when to go next."""

    def __init__(self, home: Path, uri: str) -> None:
        self.uri = uri
        self.journal = Journal(home)
        self.pause = ROUND
        self.running = False
        self._batch = False  # only sweeps under way are left
        self._lag = Lag(uri, 0)
        tell(home, self._lag)  # what an earlier recorder could not do may work now
        self._store: Store | None = None
        self._machine: Machine | None = None
        self._followers: dict[str, Follower] = {}

    @property
    def failing(self) -> float:
        """For how many seconds something has not worked."""
        return time.time() - self._lag.since if self._lag.since else 0.0

    def ended(self) -> bool:
        """Whether a run has ended since the last round: somebody waits for its answer. Nobody does
        for that of a trial, but for its sweep's."""
        if self._batch:
            return not batch(self.journal, self.uri)
        if self.running and not self.failing:
            with contextlib.suppress(JournalError, sqlite3.Error):
                return ended(self.journal, self.uri)
        return False

    def go(self) -> bool:
        """Write one batch of each run that is left, or of some of many; whether there was any."""
        try:
            runs = left(self.journal, self.uri)
        except (JournalError, sqlite3.Error) as error:  # locked, or on a disk that is full
            self._end(False, [str(error)], [])
            return True
        self._follow(runs)
        self.running = any(run.status is Status.RUNNING for run in runs)
        more, until = False, time.monotonic() + ROUND
        errors, passed = list[str](), list[str]()  # MLflow's, and runs that cannot be described
        with self._store.kept() if self._store else contextlib.nullcontext():
            for run in sorted(runs, key=self._turn):
                try:
                    more |= self._advance(run)
                except TurnaroundError as error:  # its plan is gone: the others have theirs
                    passed.append(_told(run, error))
                except Exception as error:  # MLflow, its database and its server have many kinds
                    logger.warning("%s: %s", run.id, error, exc_info=not self._lag.error)
                    self._store = None  # opened anew, and all that is in it looked for again
                    errors.append(_told(run, error))
                if time.monotonic() > until and not errors:
                    more = True  # by the next round somebody's run may have ended that goes first
                    break
        self._end(more, errors, passed)
        return bool(runs)

    def _follow(self, runs: Sequence[Run]) -> None:
        known = self._followers
        self._followers = {r.id: known.get(r.id) or Follower(self.journal, r.id) for r in runs}

    def _turn(self, run: Run) -> tuple[int, float]:
        """Sweeps go first, as what belongs to one is written below it; then what somebody waits
        for; and those that have waited longest."""
        kind = 0 if run.tags.get("kind") == "sweep" else 1 if "sweep" not in run.tags else 2
        return kind, self._followers[run.id].looked

    def _advance(self, run: Run) -> bool:
        follower = self._followers[run.id]
        follower.looked = time.monotonic()
        if self._machine and run.status is Status.RUNNING:
            follower.read(self._machine.read(time.time()), run)
        self._store = self._store or Store(self.uri)
        self._machine = self._machine or Machine(self.uri)
        return follower.advance(self._store, run)

    def _end(self, more: bool, errors: Sequence[str], passed: Sequence[str]) -> None:
        """Choose the pause until the next round, and leave word of what could not be written."""
        self._batch = False
        if errors:
            self.pause = min(SLOWEST, 2 * max(self.pause, ROUND))
        else:
            self._batch = not more and batch(self.journal, self.uri)
            self.pause = 0.0 if more else HOLD if self._batch else ROUND
        if said := [*errors, *passed]:
            behind = sum(follower.waiting() for follower in self._followers.values())
            self._say(Lag(self.uri, behind, self._lag.since or time.time(), said[0]))
        else:
            self._say(Lag(self.uri, 0))

    def _say(self, lag: Lag) -> None:
        if lag != self._lag:
            with contextlib.suppress(OSError):  # the same disk may be full
                tell(self.journal.root, lag)
        self._lag = lag


def _told(run: Run, error: Exception) -> str:
    """What went wrong with the run, in one line."""
    return f"{run.id}: {type(error).__name__}: {error}".partition("\n")[0]
