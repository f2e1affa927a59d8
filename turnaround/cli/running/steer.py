"""What can be done to a run that is under way: see that somebody carries it out, and stop it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from turnaround.errors import JournalError, TurnaroundError
from turnaround.fusible import STOP
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.pool.places import living, read_record
from turnaround.spec import Status
from turnaround.sweep import start

if TYPE_CHECKING:
    from turnaround.launch.remote import Remote

STOPPED = "stopped with Ctrl-C"


class PoolSteer:
    """A run of the pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        """A pool that was killed is started again; one that was taken down is left down."""
        if self.pool.record() is not None:
            return True
        if read_record(self.pool.places) is None:
            say(f"the pool is down and {run.id} waits for it: turnaround up")
            return False
        say("the pool was killed: starting another, where the run goes on from its last checkpoint")
        self.start(say)
        return True

    def start(self, say: Callable[[str], None]) -> None:
        """A pool is up."""
        from turnaround.launch import facts

        self.pool.ensure(say, facts.inventory())

    def stop(self, run: Run, reason: str = STOPPED) -> None:
        """Ask the scheduler, which asks the workers; without a pool nobody has to be asked."""
        if self.pool.record() is not None:
            self.pool.stop(run.id, reason)
        else:
            ended = {"attempt": run.attempt, "exit_code": 75, "stopping": False}
            self.pool.journal.mark(run.id, Status.STOPPED, reason, **ended)


class InlineSteer:
    """A run that some other command line carries out in its own process."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        """Nobody can carry it on but its owner."""
        settle(self.journal, run)
        return True

    def stop(self, run: Run, reason: str = STOPPED) -> None:
        """Tell the owner, who saves first."""
        owner = living(run.owner)
        if owner is None:
            raise JournalError(
                f"run {run.id} is carried out by nobody", f"turnaround resume {run.id}"
            )
        os.kill(owner, signal.SIGTERM)


class TrialSteer(InlineSteer):
    """A trial that is trained as one with others; its sweep's driver answers for it."""

    def stop(self, run: Run, reason: str = STOPPED) -> None:
        """Tell it alone: the others go on."""
        self.journal.update(run.id, reason=reason)
        (self.journal.folder(run.id) / STOP).touch()


class SweepSteer:
    """A sweep, which a driver of its own carries out."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        """A driver that was killed is replaced; it left its memory behind."""
        now = self.journal.run(run.id)
        if not now.status.over and start.driver(self.journal, run.id) is None:
            say("the sweep's driver was killed: starting another, which goes on from its events")
            start.ensure(self.journal, run.id)
        return True

    def stop(self, run: Run, reason: str = STOPPED) -> None:
        """Tell the driver, who has its runs save first."""
        start.stop(self.journal, run.id)


class RemoteSteer:
    """A run on another cluster: what happens there is taken down here while somebody watches."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._ear: threading.Thread | None = None
        self._news: list[str] = []
        self._error: TurnaroundError | None = None

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        """Listen, from where whoever did so before has left off."""
        while self._news:
            say(self._news.pop(0))
        if self._error:
            raise self._error
        if self._ear is None or not self._ear.is_alive():
            self._ear = threading.Thread(target=self._listen, args=[run], daemon=True)
            self._ear.start()
        return True

    def stop(self, run: Run, reason: str = STOPPED) -> None:
        """Ask the cluster, which saves first; its answer is listened for."""
        self.remote.stop(run)
        self.tend(run, self._news.append)

    def _listen(self, run: Run) -> None:
        try:
            self.remote.follow(run, self._news.append)
        except TurnaroundError as error:
            self._error = error


def steer(journal: Journal, run: Run) -> PoolSteer | InlineSteer | SweepSteer | RemoteSteer:
    """The one that fits the run."""
    if start.is_sweep(journal, run):
        return SweepSteer(journal)
    if run.cluster == "remote":
        from turnaround.launch.remote import Remote  # 30 ms

        return RemoteSteer(Remote(journal.plan(run.id).cluster.address, journal))
    if run.cluster == "inline" and "trial" in run.tags:
        return TrialSteer(journal)
    return InlineSteer(journal) if run.cluster == "inline" else PoolSteer(Pool(journal.root))


def settle(journal: Journal, run: Run) -> Run:
    """The run; an inline one whose process was killed is first marked as stopped."""
    if run.cluster != "inline" or run.status.over or living(run.owner):
        return run
    told = journal.folder(run.id) / "events.jsonl"
    ended = told.stat().st_mtime if told.exists() else time.time()  # its last word, not our look
    fields = {"attempt": run.attempt, "exit_code": 75, "ended": ended}
    journal.mark(run.id, Status.STOPPED, "its process was killed", **fields)
    return journal.run(run.id)
