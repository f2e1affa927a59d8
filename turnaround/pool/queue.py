"""What may start now, and why the rest waits: pure decisions over the queue and the free devices.

starts, waits = decide(queued, plans, holders, Inventory(cpus=2, gpus=0))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from turnaround.journal import Run
from turnaround.pool.gang import Placement
from turnaround.spec import Inventory, Plan


@dataclass(frozen=True)
class Free:
    """Devices nobody holds."""

    cpus: int
    gpus: tuple[int, ...]  # indices

    def without(self, held: Placement) -> Free:
        """What is left when `held` is taken."""
        gpus = tuple(index for index in self.gpus if index not in held.gpus)
        return Free(self.cpus - held.cpus, gpus)


def free(inventory: Inventory, holders: dict[str, Placement]) -> Free:
    """The inventory less what running gangs hold."""
    left = Free(inventory.cpus, tuple(range(inventory.gpus)))
    for held in holders.values():
        left = left.without(held)
    return left


def decide(
    queued: Sequence[Run],
    plan: Callable[[str], Plan],
    holders: dict[str, Placement],
    inventory: Inventory,
) -> tuple[dict[str, Placement], dict[str, str]]:
    """(starts, reasons to wait): first come first served within a priority, gangs whole or not.

    Nothing overtakes a run that waits, so a large gang cannot be starved by small ones.
    """
    starts: dict[str, Placement] = {}
    waits: dict[str, str] = {}
    left = free(inventory, holders)
    for run in queued:
        asked = plan(run.id)
        placement = None if waits else place(asked, left, inventory)
        if placement is None:
            waits[run.id] = _why(asked, left, holders, next(iter(waits), None))
        else:
            starts[run.id] = placement
            left = left.without(placement)
    return starts, waits


def place(plan: Plan, left: Free, inventory: Inventory) -> Placement | None:
    """Where the gang would go, or None when it does not fit now."""
    devices = plan.devices
    if plan.cluster.device == "cuda":
        return Placement(gpus=list(left.gpus[:devices])) if len(left.gpus) >= devices else None
    cpus = min(devices * (plan.cluster.threads or 1), inventory.cpus)
    return Placement(cpus=cpus) if left.cpus >= cpus else None


def _why(plan: Plan, left: Free, holders: dict[str, Placement], before: str | None) -> str:
    if before:
        return f"waits its turn behind {before}"
    devices = plan.devices
    if plan.cluster.device == "cuda":
        need, have = f"{devices} GPU", f"{len(left.gpus)}"
    else:
        need, have = f"{devices * (plan.cluster.threads or 1)} CPU", f"{left.cpus}"
    return f"waits for {need}: {have} free, held by {', '.join(sorted(holders)) or 'nobody'}"
