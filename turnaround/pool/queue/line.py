"""The queue as the journal has it: rows in, decisions out, reasons back into the journal.

    line = Line(journal)
    line.add(run)                       # of the journal, when it is submitted, resumed or lost
    line.keep(holders)                  # as the machines tell
    decision = line.decide(machines)

What waits is read from the journal once, when the scheduler starts: a row takes 26 µs to read, and
ten thousand of them would be read at every change.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from turnaround.errors import JournalError, PlanError
from turnaround.journal import Journal, Run
from turnaround.pool.machines import Machine
from turnaround.pool.queue.lengths import Lengths
from turnaround.pool.queue.queue import Queue
from turnaround.pool.queue.room import Places, beside
from turnaround.pool.queue.turn import Decision
from turnaround.pool.queue.waiting import Holder, Waiting
from turnaround.spec import Plan, Status

log = logging.getLogger(__name__)
_AGREE = 30.0  # seconds between looks whether the journal has as many


class Line:
    """Who waits, and who holds what."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._queue = Queue()
        self._lengths = Lengths(journal, time.time)
        self._told: dict[str, str] = {}  # reasons, of those that wait
        self._last = Decision()
        self._agreed = 0.0  # when it was last the journal's; 0: never yet

    def __len__(self) -> int:
        return len(self._queue.waiting)

    def read(self) -> None:
        """All that waits is in here, also what somebody else has put into the journal."""
        if self._agreed and time.monotonic() - self._agreed < _AGREE:
            return
        if not self._agreed or self._journal.count(Status.QUEUED) != len(self):
            rows = {run.id: run for run in self._journal.queue() if run.status is Status.QUEUED}
            for id in set(self._queue.waiting) - rows.keys():
                self.drop(id)
            for id in rows.keys() - self._queue.waiting.keys():
                self.add(rows[id])
        self._agreed = time.monotonic()

    def add(self, run: Run, plan: Plan | None = None) -> None:
        """It waits from now on; one without a plan that can be read never will start."""
        try:
            plan = plan or self._journal.plan(run.id)
        except (JournalError, PlanError) as error:
            log.warning("%s cannot be queued: %s", run.id, error)
            self._journal.mark(run.id, Status.FAILED, error.message, exit_code=3)
            return
        length = self._lengths.of(run)
        self._queue.add(Waiting.of(run, plan, length.high if length else None))
        self._told[run.id] = run.reason

    def drop(self, id: str) -> None:
        """It waits no longer."""
        self._queue.remove(id)
        self._told.pop(id, None)

    def begin(self, run: Run, places: Places) -> None:
        """It has got these devices."""
        self.drop(run.id)
        self._queue.hold(run.id, self._holder(run, places, time.time()))

    def keep(self, held: Mapping[str, Places], starting: Collection[str]) -> None:
        """These hold devices, as the machines tell; who is being started keeps what it got."""
        for id in self._queue.holders.keys() - held.keys() - set(starting):
            self._queue.release(id)
        for id, places in held.items():
            known = self._queue.holders.get(id)
            if known and id in starting:  # its machines answer one after another
                continue
            if known is None or _by_machine(known.places) != _by_machine(places):
                run = self._journal.run(id)
                self._queue.hold(id, self._holder(run, places, run.started or time.time()))

    def decide(self, machines: Sequence[Machine]) -> Decision:
        """What to do now; why others wait is in the journal then."""
        self._queue.have(machines)
        self._last = self._queue.decide(time.time())
        for id, reason in self._last.waits.items():
            if self._told[id] != reason:
                self._journal.update(id, reason=reason)
                self._told[id] = reason
        return self._last

    def newest(self, id: str) -> str | None:
        """Of those on one device with it the last to come; none: it is alone, or one is leaving."""
        holders = self._queue.holders
        if id not in holders:
            return None
        there = [other for other in holders if beside(holders[id].places, holders[other].places)]
        if len(there) < 2 or any(holders[other].yields for other in there):
            return None
        return max(there, key=lambda other: (holders[other].since, other))

    def yields(self, id: str) -> None:
        """It has been told to make room."""
        self._queue.yields(id)

    def listed(self, most: int) -> dict[str, Any]:
        """Who waits, in the order in which they would go, and why; and how many there are."""
        first = self._last.first
        rest = f"waits its turn behind {first}" if first else "is about to start"
        found = [
            {"run": id, "reason": self._last.waits.get(id, rest)}
            for id in itertools.islice(self._queue.order(), most)
        ]
        return {"runs": found, "count": len(self)}

    def _holder(self, run: Run, places: Places, since: float) -> Holder:
        length = self._lengths.of(run)
        until = since + length.middle if length else None
        return Holder(places, since, until, run.priority, run.tags.get("sweep", ""))


def _by_machine(places: Places) -> Places:
    return sorted(places, key=lambda held: (held.machine, held.ranks))
