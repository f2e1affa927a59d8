"""Where a gang lies: as few machines as can be, and the devices that nobody holds.

    left = free(machines, {"lm-k3x9e": [Placement(cpus=1, machine="a")]})
    place(plan, left, machines)          # a Placement for each machine that it gets a part of

Where it needs several, ranks that talk most stay together (they are neighbours: see
`engine/layouts/grid.py`), so a machine gets whole groups of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass

from turnaround.pool.machines import Machine, suiting
from turnaround.pool.node.gang import Placement
from turnaround.spec import Plan

Places = list[Placement]  # of one gang, in the order of its ranks
Left = Mapping[str, "Free"]  # by machine


@dataclass(frozen=True)
class Free:
    """Devices of a machine that nobody holds."""

    cpus: float
    gpus: tuple[int, ...]  # indices of those that are free altogether
    parts: tuple[tuple[int, float], ...] = ()  # of shared GPUs: index, and what is left of it

    def without(self, held: Placement) -> Free:
        """What is left when `held` is taken."""
        return self._changed(held, -1)

    def plus(self, held: Placement) -> Free:
        """What there is when `held` is given back."""
        return self._changed(held, 1)

    def room(self, each: float, share: float) -> int:
        """For how many ranks, with so many cores each, or such a share of a GPU."""
        if each:
            return max(0, int(self.cpus // each))
        whole = int(len(self.gpus) // share)
        if not self.parts:  # the usual case, of which one decision has thousands
            return whole
        return whole + int(sum(left // share for _, left in self.parts))

    def pick(self, count: int, share: float) -> list[int]:
        """So many GPUs; for a share of one the emptiest, as sharing is for when devices are few."""
        if share == 1 or self.gpus:
            return list(self.gpus[:count])
        return [max(self.parts, key=lambda part: part[1])[0]]

    def _changed(self, held: Placement, sign: int) -> Free:
        cpus = self.cpus + sign * held.cpus
        if not held.gpus:
            return Free(cpus, self.gpus, self.parts)
        if held.share == 1:  # the usual case again
            others = [index for index in self.gpus if index not in held.gpus]
            gpus = tuple(others if sign < 0 else sorted([*others, *held.gpus]))
            return Free(cpus, gpus, self.parts)
        left = {**dict.fromkeys(self.gpus, 1.0), **dict(self.parts)}
        for index in held.gpus:
            left[index] = left.get(index, 0.0) + sign * held.share
        gpus = tuple(index for index in sorted(left) if left[index] >= 1)
        parts = tuple((index, left[index]) for index in sorted(left) if 0 < left[index] < 1)
        return Free(cpus, gpus, parts)


def free(machines: Sequence[Machine], holders: Mapping[str, Places]) -> dict[str, Free]:
    """Each machine less what running gangs hold of it."""
    left = whole(machines)
    for places in holders.values():
        take(left, places)
    return left


def whole(machines: Sequence[Machine]) -> dict[str, Free]:
    """All of each machine."""
    return {machine.id: Free(machine.cpus, tuple(range(machine.gpus))) for machine in machines}


def take(left: MutableMapping[str, Free], places: Places) -> None:
    """These are held from now on."""
    for held in places:
        if held.machine in left:  # else it is gone, and so is what was held
            left[held.machine] = left[held.machine].without(held)


def give(left: MutableMapping[str, Free], places: Places) -> None:
    """These are free again."""
    for held in places:
        if held.machine in left:
            left[held.machine] = left[held.machine].plus(held)


def beside(one: Places, other: Places) -> bool:
    """They share a device; which cores of a machine a run is on, the system decides."""
    return any(
        a.machine == b.machine
        and max(a.share, b.share) < 1
        and (not {*a.gpus}.isdisjoint(b.gpus) or not (a.gpus or b.gpus))
        for a in one
        for b in other
    )


def place(plan: Plan, left: Left, machines: Sequence[Machine]) -> Places | None:
    """Where the gang would go, or None when it does not fit now."""
    return lie(plan, left, suiting(machines, plan.cluster))


def lie(plan: Plan, left: Left, suit: Sequence[Machine]) -> Places | None:
    """The same among machines that suit it, in the order in which they are filled."""
    if plan.cluster.device != "cuda" and plan.devices > sum(machine.cpus for machine in suit):
        return _crowded(plan, left, suit)
    part = plan.cluster.share or 1
    each = _cores(plan, suit) * part
    room = {m.id: left[m.id].room(each, part) for m in suit}
    if plan.devices > sum(room.values()):
        return None
    deal = _spread if plan.cluster.spread else _packed
    for unit in _units(plan):
        blocks = {id: slots // unit for id, slots in room.items()}
        counts = deal(blocks, plan.devices // unit)
        if counts:
            ranks = {id: count * unit for id, count in counts.items()}
            return list(_places(ranks, left, each, part))
    return None


def _units(plan: Plan) -> Iterator[int]:
    """Ranks that stay on one machine, the largest first; spread out, no more than must."""
    layout = plan.layout
    inner = (layout.shard or 1) * (layout.tensor or 1)
    stage = inner * (layout.replicate or 1)
    larger = () if plan.cluster.spread else (plan.devices, layout.devices, stage)
    yield from dict.fromkeys((*larger, inner, layout.tensor or 1, 1))


def _packed(blocks: dict[str, int], wanted: int) -> dict[str, int]:
    """Blocks by machine, the first machine filled first; none where they do not fit."""
    if wanted == 1:  # the head if it has room, else where least is left over
        having = [id for id, count in blocks.items() if count]
        first = next(iter(blocks), None)
        best = first if having[:1] == [first] else min(having, key=blocks.__getitem__, default=None)
        return {} if best is None else {best: 1}
    head, others = list(blocks.items())[:1], list(blocks.items())[1:]
    counts: dict[str, int] = {}
    for id, count in [*head, *sorted(others, key=lambda item: -item[1])]:
        if taken := min(count, wanted - sum(counts.values())):
            counts[id] = taken
    return counts if sum(counts.values()) == wanted else {}


def _spread(blocks: dict[str, int], wanted: int) -> dict[str, int]:
    """Blocks by machine, as evenly as they fit."""
    if sum(blocks.values()) < wanted:
        return {}
    counts = dict.fromkeys(blocks, 0)
    for _ in range(wanted):
        least = min((id for id in blocks if blocks[id] > counts[id]), key=counts.__getitem__)
        counts[least] += 1
    return {id: count for id, count in counts.items() if count}


def _places(ranks: dict[str, int], left: Left, each: float, share: float) -> Iterator[Placement]:
    """Neighbouring ranks on each machine; on one without `each` cores for a rank, its GPUs."""
    first = 0
    for id, count in ranks.items():
        mine = list(range(first, first + count))
        gpus = [] if each else left[id].pick(count, share)
        yield Placement(cpus=each * count, gpus=gpus, ranks=mine, machine=id, share=share)
        first += count


def _cores(plan: Plan, suit: Sequence[Machine]) -> int:
    """Cores for each rank, never more than there are; 0: it wants a GPU."""
    if plan.cluster.device == "cuda":
        return 0
    share = sum(machine.cpus for machine in suit) // plan.devices
    most = max((machine.cpus for machine in suit), default=1)
    return max(1, min(plan.cluster.threads or 1, share, most))


def _crowded(plan: Plan, left: Left, suit: Sequence[Machine]) -> Places | None:
    """A run that was planned for more cores than there are now: all of the largest machine."""
    largest = max(suit, key=lambda machine: machine.cpus, default=None)
    if largest is None or left[largest.id].cpus < largest.cpus:
        return None
    ranks = list(range(plan.devices))
    return [Placement(cpus=largest.cpus, ranks=ranks, machine=largest.id)]
