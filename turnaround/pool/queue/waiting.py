"""Who waits, and who holds devices: what the queue knows of a run.

Waiting("lm-k3x9e", plan, submitted=now, takes=40.0).due
Holder(places, since=now, until=now + 34.0).devices
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

from turnaround.journal import Run
from turnaround.pool.queue.room import Places
from turnaround.spec import Cluster, Plan

STRETCH = 2.0
USUAL = 600.0  # seconds that a run is given of which nobody knows how long it takes
Lane = tuple[int, str, Hashable]  # priority, group, what is needed
Place = tuple[float, str]  # in a lane: when it is due, and which run


@dataclass(frozen=True)
class Waiting:
    """A run that waits."""

    id: str
    plan: Plan
    submitted: float
    priority: int = 0
    group: str = ""  # its sweep
    takes: float | None = None  # seconds, rather too many; none: nobody knows

    @classmethod
    def of(cls, run: Run, plan: Plan, takes: float | None = None) -> Waiting:
        """A run of the journal."""
        return cls(run.id, plan, run.submitted, run.priority, run.tags.get("sweep", ""), takes)

    @property
    def batch(self) -> bool:
        """Nobody sits and waits for it."""
        return self.priority < 0

    @cached_property
    def due(self) -> float:
        """When it is its turn."""
        return self.submitted + STRETCH * (USUAL if self.takes is None else self.takes)

    @cached_property
    def needs(self) -> Hashable:
        """What decides whether it fits: equal for runs that ask for the same."""
        cluster, layout = self.plan.cluster, self.plan.layout
        degrees = (layout.replicate, layout.shard, layout.tensor, layout.devices)
        where = (cluster.device, cluster.threads, cluster.share, cluster.spread, hints(cluster))
        return (self.plan.devices, *degrees, *where)

    @property
    def lane(self) -> Lane:
        """Where it stands: behind those that need the same."""
        return self.priority, self.group, self.needs


@dataclass(frozen=True)
class Holder:
    """A run that holds devices."""

    places: Places
    since: float = 0.0
    until: float | None = None  # when it should be over; none: nobody knows
    priority: int = 0
    group: str = ""
    yields: bool = False  # it has been told to make room

    @classmethod
    def of(cls, run: Waiting, places: Places, now: float) -> Holder:
        """The run, once it has started."""
        until = None if run.takes is None else now + run.takes
        return cls(places, now, until, run.priority, run.group)

    @property
    def end(self) -> float:
        """When it should be over; one of which nobody knows may end at any moment."""
        return -math.inf if self.until is None else self.until

    @property
    def devices(self) -> float:
        """That it keeps from others."""
        return sum(len(held.gpus) * held.share or held.cpus for held in self.places)


def hints(asked: Cluster) -> Hashable:
    """Which machines are meant."""
    return (asked.kind, *sorted(asked.labels.items())) if asked.labels else asked.kind
