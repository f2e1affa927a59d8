"""What may start now, who makes room for it, and why the rest waits: pure decisions.

    queue = Queue([Machine("a", "127.0.0.1", cpus=2, gpus=0)])
    queue.add(Waiting("lm-k3x9e", plan, submitted=now, takes=40.0))
    decision = queue.decide(now)         # starts, yields and reasons; nothing is changed by asking
    queue.start("lm-k3x9e", Holder(decision.starts["lm-k3x9e"], since=now))
    queue.release("lm-k3x9e")

Who goes first:

* A higher priority does; of one priority the sweep that holds the fewest devices (runs of no sweep
  are one such group); and within it who is *due* first: when it was submitted, plus `STRETCH` times
  what it should take. So a short run may pass a long one, which waits no longer for that than
  `STRETCH` times its own length.
* A gang starts whole or not at all. The first that does not fit has its devices *reserved* for the
  moment when they should be free; whoever comes behind may start only if the gang can then start
  all the same: it is over by then, or it leaves enough. A holder of which nobody knows how long it
  takes may end at any moment, so it lets nobody pass.
* Batch work, whose priority is below 0 (trials of sweeps), saves and makes room for what is not.

A decision costs the same however long the queue is: runs that need the same devices stand in one
lane, and a lane of which one does not fit is passed over.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from turnaround.journal import Run
from turnaround.pool.machines import Machine, suiting
from turnaround.pool.room import Free, Left, Places, free, give, lie, place, take, whole
from turnaround.spec import Cluster, Plan

__all__ = ["Decision", "Free", "Holder", "Places", "Queue", "Waiting", "decide", "free", "place"]

STRETCH = 2.0
USUAL = 600.0  # seconds that a run is given of which nobody knows how long it takes
DEPTH = 64  # runs in a decision that are asked whether they may pass
SOON = 10.0  # seconds: what will be free by then is not worth a checkpoint
NAMED = 3  # holders that a reason names
_Lane = tuple[int, str, Hashable]  # priority, group, what is needed
_Place = tuple[float, str]  # in a lane: when it is due, and which run


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
        where = (cluster.device, cluster.threads, cluster.pack, hints(cluster))
        return (self.plan.devices, *degrees, *where)


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
    def devices(self) -> int:
        """That it keeps from others."""
        return sum(len(held.gpus) or held.cpus for held in self.places)


@dataclass
class Decision:
    """What to do now."""

    starts: dict[str, Places] = field(default_factory=dict)
    yields: dict[str, str] = field(default_factory=dict)  # who saves and stops, and for whom
    waits: dict[str, str] = field(default_factory=dict)  # why, of those that were looked at
    first: str | None = None  # of all that wait


class Queue:
    """Who waits, who holds what, and what is free."""

    def __init__(self, machines: Sequence[Machine] = ()) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.holders: dict[str, Holder] = {}
        self.shares: Counter[str] = Counter()  # devices by group
        self.lanes: dict[_Lane, list[_Place]] = {}
        self.ends: list[_Place] = []  # of holders, the earliest first
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
        insort(self.lanes.setdefault(_lane(run), []), (run.due, run.id))

    def remove(self, id: str) -> None:
        """It waits no longer."""
        if run := self.waiting.pop(id, None):
            lane = self.lanes[_lane(run)]
            del lane[bisect_left(lane, (run.due, id))]
            if not lane:
                del self.lanes[_lane(run)]

    def start(self, id: str, holder: Holder) -> None:
        """It waits no longer, and has its devices."""
        self.remove(id)
        self.hold(id, holder)

    def hold(self, id: str, holder: Holder) -> None:
        """It has these devices, and no others."""
        self.release(id)
        self.holders[id] = holder
        self.shares[holder.group] += holder.devices
        insort(self.ends, (_end(holder), id))
        take(self.left, holder.places)

    def release(self, id: str) -> None:
        """It has given them back."""
        if holder := self.holders.pop(id, None):
            self.shares[holder.group] -= holder.devices
            del self.ends[bisect_left(self.ends, (_end(holder), id))]
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

    def decide(self, now: float) -> Decision:
        """Who starts, who makes room, and why others wait."""
        return _Turn(self, now).taken()

    def order(self) -> Iterator[str]:
        """Everybody who waits, in the order in which they would go if there were room."""
        shares = Counter(self.shares)
        line = _Line(self.lanes, shares)
        while (run := line.next()) is not None:
            yield run
            waiting = self.waiting[run]
            shares[waiting.group] += waiting.plan.devices
            line.advance()


def hints(asked: Cluster) -> Hashable:
    """Which machines are meant."""
    return (asked.kind, *sorted(asked.labels.items())) if asked.labels else asked.kind


def _lane(run: Waiting) -> _Lane:
    return run.priority, run.group, run.needs


def _end(holder: Holder) -> float:
    return -math.inf if holder.until is None else holder.until


class _Line:
    """The heads of all lanes, who goes first in front; lanes are left when they are full."""

    def __init__(self, lanes: Mapping[_Lane, Sequence[_Place]], shares: Mapping[str, int]) -> None:
        self._lanes = lanes
        self._shares = shares
        self._heap = [self._entry(lane, 0) for lane in lanes]
        heapq.heapify(self._heap)

    def next(self) -> str | None:
        """Who is in front now that shares are what they are."""
        while self._heap:
            _, share, (_, run), lane, nth = self._heap[0]
            if share == self._shares[lane[1]]:
                return run
            heapq.heapreplace(self._heap, self._entry(lane, nth))
        return None

    def advance(self) -> None:
        """Past the one in front, to the next of its lane."""
        *_, lane, nth = heapq.heappop(self._heap)
        if nth + 1 < len(self._lanes[lane]):
            heapq.heappush(self._heap, self._entry(lane, nth + 1))

    def leave(self) -> None:
        """Past all who are in the lane of the one in front."""
        heapq.heappop(self._heap)

    def _entry(self, lane: _Lane, nth: int) -> tuple[int, int, _Place, _Lane, int]:
        return -lane[0], self._shares[lane[1]], self._lanes[lane][nth], lane, nth


class _Turn:
    """One decision: the queue as it would be after each start."""

    def __init__(self, queue: Queue, now: float) -> None:
        self.queue = queue
        self.now = now
        self.left = dict(queue.left)
        self.ends = queue.ends
        self.begun: dict[str, Holder] = {}
        self._shares = Counter(queue.shares)
        self._full: set[Hashable] = set()  # needs that cannot be met
        self._heads: dict[Hashable, _Head] = {}  # the first that waits for each kind of device
        self._made = Decision()

    def taken(self) -> Decision:
        """The decision."""
        line, looked = _Line(self.queue.lanes, self._shares), 0
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
        self._heads.setdefault((cluster.device, hints(cluster)), _Head(run, self))

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

    def _make_room(self, head: _Head) -> None:
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


class _Head:
    """The first run that waits for a kind of device, and what is kept for it."""

    def __init__(self, run: Waiting, turn: _Turn) -> None:
        self.run = run
        self._turn = turn
        self._suit = turn.queue.suit(run.plan.cluster)

    @property
    def soon(self) -> bool:
        """It needs nobody to make room."""
        return self._known and self._kept[0] - self._turn.now <= SOON

    @property
    def _known(self) -> bool:
        return not self._turn.ends or self._turn.ends[0][0] > -math.inf

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
        begun = [(_end(held), id) for id, held in turn.begun.items()]
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
    """The smallest number up to `most` that is enough; none when that is not."""
    if not enough(most):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def _why(plan: Plan, left: Left, queue: Queue, before: str | None) -> str:
    if not left:
        return f"waits for a machine with {plan.cluster.hints}: there is none"
    if before:
        return f"waits its turn behind {before}"
    devices = plan.devices
    if plan.cluster.device == "cuda":
        need, have = f"{devices} GPU", sum(len(free.gpus) for free in left.values())
    else:
        cores = devices * (plan.cluster.threads or 1)
        need, have = f"{cores} CPU", sum(free.cpus for free in left.values())
    where = f" on {len(left)} machines" if len(left) > 1 else ""
    return f"waits for {need}: {have} free{where}, held by {_named(sorted(queue.holders))}"


def _named(holders: list[str]) -> str:
    more = [f"{len(holders) - NAMED} more"] if len(holders) > NAMED else []
    return ", ".join([*holders[:NAMED], *more]) or "nobody"


def decide(
    queued: Sequence[Run],
    plan: Callable[[str], Plan],
    holders: Mapping[str, Places],
    machines: Sequence[Machine],
) -> tuple[dict[str, Places], dict[str, str]]:
    """(starts, reasons to wait) of runs of the journal, with nothing known but what they need."""
    queue = Queue(machines)
    for id, places in holders.items():
        queue.start(id, Holder(places))
    for run in queued:
        queue.add(Waiting.of(run, plan(run.id)))
    made = queue.decide(now=0.0)
    rest = [run.id for run in queued if run.id not in made.starts]
    behind = f"waits its turn behind {made.first}"
    return made.starts, {id: made.waits.get(id, behind) for id in rest}
