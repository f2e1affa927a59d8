"""Who waits, who holds what, and what is free: what the queue knows before it decides.

standing = Standing([Machine("a", "127.0.0.1", cpus=2, gpus=0)])
standing.add(Waiting("lm-k3x9e", plan, submitted=now, takes=40.0))
standing.start("lm-k3x9e", Holder(places, since=now))
standing.release("lm-k3x9e")
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from turnaround.pool.machines import Machine, suiting
from turnaround.pool.queue.lanes import Front
from turnaround.pool.queue.room import Free, free, give, take
from turnaround.pool.queue.waiting import Holder, Lane, Place, Waiting, hints
from turnaround.spec import Cluster, Plan


class Standing:
    """Who waits, who holds what, and what is free."""

    def __init__(self, machines: Sequence[Machine] = ()) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.holders: dict[str, Holder] = {}
        self.shares: dict[str, float] = defaultdict(float)  # devices by group
        self.lanes: dict[Lane, list[Place]] = {}
        self.ends: list[Place] = []  # of holders, the earliest first
        self.left: dict[str, Free] = {}
        self.machines: Sequence[Machine] = ()
        self._suit: dict[Hashable, list[Machine]] = {}
        self._plans: dict[Hashable, Plan] = {}
        self.have(machines)

    def have(self, machines: Sequence[Machine]) -> None:
        """These are the machines from now on."""
        if list(machines) != list(self.machines):
            self.machines = list(machines)
            self._suit.clear()
            self.left = free(machines, {id: held.places for id, held in self.holders.items()})

    def add(self, run: Waiting) -> None:
        """It waits; asked twice, it waits once."""
        self.remove(run.id)
        alike = self._plans.setdefault(run.needs, run.plan)  # one plan, not ten thousand
        self.waiting[run.id] = replace(run, plan=alike)
        insort(self.lanes.setdefault(run.lane, []), (run.due, run.id))

    def remove(self, id: str) -> None:
        """It waits no longer."""
        if run := self.waiting.pop(id, None):
            lane = self.lanes[run.lane]
            del lane[bisect_left(lane, (run.due, id))]
            if not lane:
                del self.lanes[run.lane]

    def start(self, id: str, holder: Holder) -> None:
        """It waits no longer, and has its devices."""
        self.remove(id)
        self.hold(id, holder)

    def hold(self, id: str, holder: Holder) -> None:
        """It has these devices, and no others."""
        self.release(id)
        self.holders[id] = holder
        self.shares[holder.group] += holder.devices
        insort(self.ends, (holder.end, id))
        take(self.left, holder.places)

    def release(self, id: str) -> None:
        """It has given them back."""
        if holder := self.holders.pop(id, None):
            self.shares[holder.group] -= holder.devices
            del self.ends[bisect_left(self.ends, (holder.end, id))]
            give(self.left, holder.places)

    def yields(self, id: str) -> None:
        """It has been told to make room, and holds its devices until it has."""
        self.holders[id] = replace(self.holders[id], yields=True)

    def suit(self, asked: Cluster) -> list[Machine]:
        """The machines that may be used, in the order in which they are filled."""
        key = hints(asked)
        if key not in self._suit:
            self._suit[key] = suiting(self.machines, asked)
        return self._suit[key]

    def order(self) -> Iterator[str]:
        """Everybody who waits, in the order in which they would go if there were room."""
        shares = defaultdict(float, self.shares)
        line = Front(self.lanes, shares)
        while (run := line.next()) is not None:
            yield run
            waiting = self.waiting[run]
            shares[waiting.group] += waiting.plan.devices * (waiting.plan.cluster.share or 1)
            line.advance()
