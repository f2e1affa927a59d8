"""One decision of the queue: who starts, who makes room, why others wait.

    made = Turn(queue, now).taken()
    made.starts                          # {"lm-k3x9e": [Placement(…)]}

The rules are said in `queue.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from turnaround.pool.machines import Machine
from turnaround.pool.queue.lanes import Front
from turnaround.pool.queue.room import Free, Left, Places, give, lie, take, whole
from turnaround.pool.queue.standing import Standing
from turnaround.pool.queue.waiting import Holder, Waiting, hints
from turnaround.spec import Cluster, Plan

DEPTH = 64  # runs in a decision that are asked whether they may pass
SOON = 10.0  # seconds: what will be free by then is not worth a checkpoint
NAMED = 3  # holders that a reason names


@dataclass
class Decision:
    """What to do now."""

    starts: dict[str, Places] = field(default_factory=dict)
    yields: dict[str, str] = field(default_factory=dict)  # who saves and stops, and for whom
    waits: dict[str, str] = field(default_factory=dict)  # why, of those that were looked at
    first: str | None = None  # of all that wait


class Turn:
    """One decision: the queue as it would be after each start."""

    def __init__(self, queue: Standing, now: float) -> None:
        self.queue = queue
        self.now = now
        self.left = dict(queue.left)
        self.ends = queue.ends
        self.begun: dict[str, Holder] = {}
        self._shares = defaultdict(float, queue.shares)
        self._full: set[Hashable] = set()  # needs that cannot be met
        self._heads: dict[Hashable, Head] = {}  # the first that waits for each kind of device
        self._made = Decision()

    def taken(self) -> Decision:
        """The decision."""
        line, looked = Front(self.queue.lanes, self._shares), 0
        while looked < DEPTH and (id := line.next()) is not None:
            run = self.queue.waiting[id]
            if run.needs in self._full:
                line.leave()
            elif (places := lie(run.plan, self.left, self.queue.suit(run.plan.cluster))) is None:
                self._blocked(run)
                line.leave()
            elif self._passes(run, places):
                self._begin(run, places)
                line.advance()
            else:
                self._made.waits[id] = f"waits its turn behind {self._made.first}"
                looked += 1
                line.advance()
        for head in self._heads.values():
            self._make_room(head)
        return self._made

    def _blocked(self, run: Waiting) -> None:
        self._full.add(run.needs)
        cluster = run.plan.cluster
        self._made.waits[run.id] = _why(run.plan, self._fit(cluster), self.queue, self._made.first)
        self._made.first = self._made.first or run.id
        self._heads.setdefault((cluster.device, hints(cluster)), Head(run, self))

    def _fit(self, cluster: Cluster) -> dict[str, Free]:
        return {machine.id: self.left[machine.id] for machine in self.queue.suit(cluster)}

    def _passes(self, run: Waiting, places: Places) -> bool:
        """Whoever waits already can start no later for it."""
        return all(head.spares(run, places) for head in self._heads.values())

    def _begin(self, run: Waiting, places: Places) -> None:
        holder = Holder.of(run, places, self.now)
        self._made.starts[run.id] = places
        self.begun[run.id] = holder
        self._shares[run.group] += holder.devices
        take(self.left, places)

    def _make_room(self, head: Head) -> None:
        """Batch work ends for the one that waits, if that helps: what began last, no more of it."""
        run, holders = head.run, self.queue.holders
        batch = [id for id, held in holders.items() if held.priority < 0 and not held.yields]
        if run.batch or not batch or head.soon:
            return
        batch.sort(key=lambda id: (holders[id].since, id), reverse=True)
        left = dict(self.left)
        for held in holders.values():
            if held.yields:
                give(left, held.places)
        suit = self.queue.suit(run.plan.cluster)
        count = _least(len(batch), lambda many: _after(left, holders, batch[:many], run.plan, suit))
        for id in batch[: count or 0]:
            self._made.yields[id] = run.id
            self._made.waits[run.id] = f"waits for {id}, which saves and makes room"


class Head:
    """The first run that waits for a kind of device, and what is kept for it."""

    def __init__(self, run: Waiting, turn: Turn) -> None:
        self.run = run
        self._turn = turn
        self._suit = turn.queue.suit(run.plan.cluster)

    @property
    def soon(self) -> bool:
        """It needs nobody to make room."""
        return self._known and self._kept[0] - self._turn.now <= SOON

    @property
    def _known(self) -> bool:
        """Nobody is overdue: whoever was to be over by now may as well take another hour."""
        return not self._turn.ends or self._turn.ends[0][0] > self._turn.now - SOON

    def spares(self, run: Waiting, places: Places) -> bool:
        """That run may start there now, and this one still when it could have."""
        at, left = self._kept
        if run.takes is not None and self._turn.now + run.takes <= at:
            return True
        taken = dict(left)
        take(taken, places)
        if lie(self.run.plan, taken, self._suit) is None:
            return False
        left.update(taken)
        return True

    @cached_property
    def _kept(self) -> tuple[float, dict[str, Free]]:
        """When it can start at the earliest, and what is free then."""
        turn = self._turn
        begun = [(held.end, id) for id, held in turn.begun.items()]
        ends = sorted([*turn.ends, *begun]) if begun else turn.ends
        holders = {**turn.queue.holders, **turn.begun}
        ids = [id for _, id in ends]
        plan, suit = self.run.plan, self._suit
        count = _least(len(ids), lambda many: _after(turn.left, holders, ids[:many], plan, suit))
        if count is None:  # not even with all machines empty
            return math.inf, dict(whole(turn.queue.machines))
        at = max(ends[count - 1][0], turn.now) if count else turn.now
        left = dict(turn.left)
        for id in ids[:count]:
            give(left, holders[id].places)
        return at, left


def _after(
    left: Left, holders: Mapping[str, Holder], gone: Sequence[str], plan: Plan, suit: list[Machine]
) -> bool:
    """It fits once these holders are gone."""
    freed = dict(left)
    for id in gone:
        give(freed, holders[id].places)
    return lie(plan, freed, suit) is not None


def _least(most: int, enough: Callable[[int], bool]) -> int | None:
    """The smallest number up to `most` that is enough, mostly a small one; none if that is not."""
    low, high = 0, min(1, most)
    while not enough(high):
        if high == most:
            return None
        low, high = high + 1, min(2 * high, most)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _why(plan: Plan, left: Left, queue: Standing, before: str | None) -> str:
    if not left:
        return f"waits for a machine with {plan.cluster.hints}: there is none"
    if before:
        return f"waits its turn behind {before}"
    need, have, name = demand(plan, left.values())
    where = f" on {len(left)} machines" if len(left) > 1 else ""
    held = _named(sorted(queue.holders))
    return f"waits for {need:g} {name}: {have:g} free{where}, held by {held}"


def demand(plan: Plan, left: Iterable[Free]) -> tuple[float, float, str]:
    """Devices that a run needs, how many of such are free, and their kind."""
    share = plan.cluster.share or 1
    if plan.cluster.device == "cuda":
        return plan.devices * share, sum(free.room(0, share) for free in left) * share, "GPU"
    return plan.devices * (plan.cluster.threads or 1) * share, sum(f.cpus for f in left), "CPU"


def _named(holders: list[str]) -> str:
    more = [f"{len(holders) - NAMED} more"] if len(holders) > NAMED else []
    return ", ".join([*holders[:NAMED], *more]) or "nobody"
