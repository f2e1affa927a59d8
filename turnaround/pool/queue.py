"""What may start now, and why the rest waits: pure decisions over the queue and the free devices.

    starts, waits = decide(queued, plans, holders, [Machine("a", "127.0.0.1", cpus=2, gpus=0)])
    starts["lm-k3x9e"]                   # a Placement for each machine that it gets a part of

A gang lies on as few machines as can be. Where it needs several, ranks that talk most stay together
(they are neighbours: see `engine/layouts/grid.py`), so a machine gets whole groups of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from turnaround.journal import Run
from turnaround.pool.gang import Placement
from turnaround.pool.machines import Machine, suiting
from turnaround.spec import Plan

Places = list[Placement]  # of one gang, in the order of its ranks
Left = Mapping[str, "Free"]  # by machine


@dataclass(frozen=True)
class Free:
    """Devices of a machine that nobody holds."""

    cpus: int
    gpus: tuple[int, ...]  # indices

    def without(self, held: Placement) -> Free:
        """What is left when `held` is taken."""
        gpus = tuple(index for index in self.gpus if index not in held.gpus)
        return Free(self.cpus - held.cpus, gpus)


def free(machines: Sequence[Machine], holders: Mapping[str, Places]) -> dict[str, Free]:
    """Each machine less what running gangs hold of it."""
    left = {machine.id: Free(machine.cpus, tuple(range(machine.gpus))) for machine in machines}
    for places in holders.values():
        _take(left, places)
    return left


def _take(left: dict[str, Free], places: Places) -> None:
    for held in places:
        if held.machine in left:  # else it is gone, and so is what was held
            left[held.machine] = left[held.machine].without(held)


def decide(
    queued: Sequence[Run],
    plan: Callable[[str], Plan],
    holders: Mapping[str, Places],
    machines: Sequence[Machine],
) -> tuple[dict[str, Places], dict[str, str]]:
    """(starts, reasons to wait): first come first served within a priority, gangs whole or not.

    Nothing overtakes a run that waits, so a large gang cannot be starved by small ones.
    """
    starts: dict[str, Places] = {}
    waits: dict[str, str] = {}
    left = free(machines, holders)
    for run in queued:
        asked = plan(run.id)
        places = None if waits else place(asked, left, machines)
        if places is None:
            fit = {machine.id: left[machine.id] for machine in suiting(machines, asked.cluster)}
            waits[run.id] = _why(asked, fit, holders, next(iter(waits), None))
        else:
            starts[run.id] = places
            _take(left, places)
    return starts, waits


# ── where a gang lies ──


def place(plan: Plan, left: Left, machines: Sequence[Machine]) -> Places | None:
    """Where the gang would go, or None when it does not fit now."""
    suit = suiting(machines, plan.cluster)
    if plan.cluster.device != "cuda" and plan.devices > sum(machine.cpus for machine in suit):
        return _crowded(plan, left, suit)
    each = _cores(plan, suit)
    room = {m.id: _room(left[m.id], each) for m in suit}
    share = _spread if not plan.cluster.pack else _packed
    for unit in _units(plan):
        blocks = {id: slots // unit for id, slots in room.items()}
        counts = share(blocks, plan.devices // unit)
        if counts:
            ranks = {id: count * unit for id, count in counts.items()}
            return list(_places(ranks, left, each))
    return None


def _units(plan: Plan) -> Iterator[int]:
    """Ranks that stay on one machine, the largest first; spread out, no more than must."""
    layout = plan.layout
    inner = (layout.shard or 1) * (layout.tensor or 1)
    stage = inner * (layout.replicate or 1)
    larger = (plan.devices, layout.devices, stage) if plan.cluster.pack else ()
    yield from dict.fromkeys((*larger, inner, layout.tensor or 1, 1))


def _packed(blocks: dict[str, int], wanted: int) -> dict[str, int]:
    """Blocks by machine, the first machine filled first; none where they do not fit."""
    if wanted == 1:  # the head if it has room, else where least is left over
        having = [id for id, count in blocks.items() if count]
        first = next(iter(blocks), None)
        best = first if first in having else min(having, key=blocks.__getitem__, default=None)
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


def _places(ranks: dict[str, int], left: Left, each: int) -> Iterator[Placement]:
    """Neighbouring ranks on each machine; on one without `each` cores for a rank, its GPUs."""
    first = 0
    for id, count in ranks.items():
        mine = list(range(first, first + count))
        gpus = [] if each else list(left[id].gpus[:count])
        yield Placement(cpus=each * count, gpus=gpus, ranks=mine, machine=id)
        first += count


def _cores(plan: Plan, suit: Sequence[Machine]) -> int:
    """Cores for each rank, never more than there are; 0: it wants a GPU."""
    if plan.cluster.device == "cuda":
        return 0
    share = sum(machine.cpus for machine in suit) // plan.devices
    most = max((machine.cpus for machine in suit), default=1)
    return max(1, min(plan.cluster.threads or 1, share, most))


def _room(left: Free, each: int) -> int:
    return max(0, left.cpus // each) if each else len(left.gpus)


def _crowded(plan: Plan, left: Left, suit: Sequence[Machine]) -> Places | None:
    """A run that was planned for more cores than there are now: all of the largest machine."""
    largest = max(suit, key=lambda machine: machine.cpus, default=None)
    if largest is None or left[largest.id].cpus < largest.cpus:
        return None
    ranks = list(range(plan.devices))
    return [Placement(cpus=largest.cpus, ranks=ranks, machine=largest.id)]


# ── why it waits ──


def _why(plan: Plan, left: Left, holders: Mapping[str, Places], before: str | None) -> str:
    if before:
        return f"waits its turn behind {before}"
    if not left:
        return f"waits for a machine with {plan.cluster.hints}: there is none"
    devices = plan.devices
    if plan.cluster.device == "cuda":
        need, have = f"{devices} GPU", sum(len(free.gpus) for free in left.values())
    else:
        cores = devices * (plan.cluster.threads or 1)
        need, have = f"{cores} CPU", sum(free.cpus for free in left.values())
    where = f" on {len(left)} machines" if len(left) > 1 else ""
    held = ", ".join(sorted(holders)) or "nobody"
    return f"waits for {need}: {have} free{where}, held by {held}"
