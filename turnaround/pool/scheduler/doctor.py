"""Looks at gangs that have fallen silent, and ends those of which a rank hangs.

    doctor = Doctor(cluster, journal)
    doctor.look(key, attempt)          # in a thread of its own: it takes two seconds
    doctor.found.get(key)              # "rank 1 hangs: …", once that is known

The stacks of all ranks stay in the run's folder, as stacks.txt.
"""

from __future__ import annotations

import logging
import threading
import time

from turnaround.errors import TurnaroundError
from turnaround.journal import Journal
from turnaround.pool.node import hang
from turnaround.pool.scheduler.attempt import Attempt
from turnaround.pool.scheduler.cluster import Cluster

log = logging.getLogger(__name__)
STACKS = "stacks.txt"
_AGAIN = 20.0  # seconds between looks at the same gang


class Doctor:
    """For the scheduler."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self.found: dict[str, str] = {}  # "run/attempt" → which rank hangs, and where
        self._cluster = cluster
        self._journal = journal
        self._looked: dict[str, float] = {}

    def look(self, key: str, attempt: Attempt) -> None:
        """See where the ranks of a silent gang are, unless that was done just now."""
        last = self._looked.get(key)
        if key not in self.found and (last is None or time.monotonic() - last > _AGAIN):
            self._looked[key] = time.monotonic()
            threading.Thread(target=self._examine, args=[key, attempt], daemon=True).start()

    def forget(self, key: str) -> None:
        """The attempt is over."""
        self.found.pop(key, None)
        self._looked.pop(key, None)

    def _examine(self, key: str, attempt: Attempt) -> None:
        try:
            stacks = self._cluster.stacks(key)
            vital = {rank: stack for rank, stack in stacks.items() if rank < attempt.vital}
            if found := hang.cause(vital, attempt.step, attempt.silent):
                told = "\n".join(f"rank {rank}\n{stack.text}" for rank, stack in stacks.items())
                (self._journal.folder(key.rsplit("/", 1)[0]) / STACKS).write_text(told)
                self.found[key] = found
                self._cluster.tell(key, {"op": "stop", "how": {"grace": 0}})
        except (TurnaroundError, OSError) as error:
            self.found.pop(key, None)  # it is looked for again
            log.warning("%s is silent, and could not be looked at: %s", key, error)
