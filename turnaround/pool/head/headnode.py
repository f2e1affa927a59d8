"""The daemon of a pool of our own: a node that also keeps the Ray head and the recorders.

    python -m turnaround.pool.head.headnode --home HOME --address ADDRESS --cpus 2 --keep-warm 1800

It starts everything that takes long at the same moment (the Ray head 3 s, torch 2 s), and ends
itself when nothing has been asked of it for `keep-warm` seconds. It outlives the Ray head: workers
go on training while a head that was killed is replaced.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from typing import Any

from turnaround.errors import TurnaroundError
from turnaround.journal import Run
from turnaround.pool import machines
from turnaround.pool.head.head import Head, reap, sweep
from turnaround.pool.node.node import Node, become
from turnaround.pool.node.outcome import Outcome
from turnaround.pool.places import Places, Record, read_record
from turnaround.pool.queue.line import Line
from turnaround.pool.scheduler.attempt import Attempt
from turnaround.pool.scheduler.ending import Ending, Plans
from turnaround.spec import Event, Status
from turnaround.tracking import start as recorders

log = logging.getLogger(__name__)
_RECORDERS = 2.0  # seconds between looks for runs without a recorder


class HeadNode(Node):
    """The machine on which the pool was started."""

    def __init__(self, places: Places, record: Record) -> None:
        super().__init__(places, record)
        self.head = Head(places, record)
        self._busy = time.monotonic()
        self._recorded = 0.0

    def begin(self) -> None:
        """Ray comes up beside the forkserver."""
        machines.forget(self.places)
        self.head.start()

    def hello(self) -> dict[str, Any]:
        """Who answers, and for how long there was nothing to do."""
        return {**super().hello(), "idle": self._idle(), "head": self.head.address}

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the agent or of a command line."""
        if request["op"] == "start":
            self._busy = time.monotonic()
        return super().handle(request)

    # ── looking after ──

    def tick(self) -> None:
        """The head, the recorders and the clock."""
        nurseries = {nursery.process.pid for nursery in self.nurseries.values()}
        reap(self.head.starting | nurseries)
        if self.head.died():
            self._revive()
        elif (seconds := self.head.came_back()) is not None:
            self._tell_runs(f"the Ray head is back after {seconds:.1f} s; nothing was lost")
        self._record()
        if self._waiting():
            self._busy = time.monotonic()
        if self._idle() > self.record.keep_warm:
            log.info("idle for %.0f s: leaving", self._idle())
            self.ending.set()

    def _revive(self) -> None:
        """Another head; where none comes up the pool ends, for the next command to start one."""
        if self.head.given_up:
            self._tell_runs(f"no Ray head comes up: the pool ends; {self.places.logs}/ray.log")
            self.ending.set()
            return
        self.head.restart()
        self._tell_runs(
            "the Ray head died and is being restarted; running workers go on, the queue is kept"
        )

    def _record(self) -> None:
        """See to it that what has not reached MLflow has a recorder."""
        if time.monotonic() - self._recorded < _RECORDERS:
            return
        self._recorded = time.monotonic()
        for run in self.journal.runs("recorded=0 AND tracking<>''", limit=50):
            recorders.ensure(self.places.home, run.tracking, run.interpreter)

    def _waiting(self) -> bool:
        """There is work, or the head is still coming up."""
        gangs = list(self.gangs.values())
        working = any(gang.outcome is None for gang in gangs) or self._queued()
        return working or not self.head.up

    def _queued(self) -> bool:
        return self.journal.count(Status.QUEUED, Status.PENDING, Status.RUNNING) > 0

    def _idle(self) -> float:
        return time.monotonic() - self._busy

    def _tell_runs(self, message: str) -> None:
        log.warning(message)
        for run in self.journal.queue():
            event = Event("notice", {"message": message}, time.time(), run.attempt)
            with contextlib.suppress(OSError):  # one that cannot hear it is no matter of the others
                self.journal.append(run.id, event)

    # ── leaving ──

    def leave(self) -> None:
        """Running workers save and leave; their runs wait in the queue for the next pool."""
        self.head.kill()  # first: its scheduler would take gangs that leave for gangs that stop
        self.end_gangs()
        self._settle()
        recorders.stop(self.places.home)
        machines.forget(self.places)
        self.places.scheduler.unlink(missing_ok=True)
        super().leave()

    def _settle(self) -> None:
        """What the scheduler would have done, also with gangs that ended while it was killed."""
        ending = Ending(self.journal, Line(self.journal), Plans(self.journal))
        for run in self.journal.active():
            try:
                if outcome := self._outcome(run):
                    ending.settle(run, outcome)
                else:
                    why = "the pool went down; goes on with the next one"
                    self.journal.mark(run.id, Status.QUEUED, why, attempt=run.attempt)
            except (TurnaroundError, OSError, sqlite3.Error) as error:
                log.warning("%s stays as it is: %s", run.id, error)

    def _outcome(self, run: Run) -> Outcome | None:
        """The end that it came to by itself, or by its user; none: it goes on."""
        gang = self.gangs.get(f"{run.id}/{run.attempt}")
        if gang is None:  # not begun, or on machines that leave with their pool
            return None
        plan = self.journal.plan(run.id)
        attempt = Attempt(plan.devices, plan.vital, {"here": gang.state()})
        outcome = attempt.outcome()
        if outcome is None or outcome.exit_code == 0 or run.stopping:
            return outcome
        return None if outcome.lost or attempt.stopping else outcome


def start(places: Places, record: Record) -> HeadNode:
    """The daemon, after what the one before it has left behind is gone."""
    if read_record(places):  # the pool before this one did not leave in good order
        sweep(places)
    return HeadNode(places, record)


if __name__ == "__main__":
    become(start)
