"""For `update=auto`: what there is to be grouped, and its groups."""

from __future__ import annotations

from dataclasses import asdict, replace

from turnaround.config import Config
from turnaround.plan import devices
from turnaround.plan.resolve import Facts, make
from turnaround.spec import Layout, from_dict


def units(config: Config, facts: Facts) -> tuple[Layout, int]:
    """What is copied, and how many there are to be grouped in any way.

    As many as were asked for, in one group or several; where nobody says, all that fit.
    """
    have = facts.inventory.count(devices.kind(config.cluster.device, facts.inventory))
    asked = replace(config.update, name="sync", groups=None)
    layout = make(replace(config, update=asked), facts).layout
    copies = layout.replicate or 1
    groups = config.update.groups or (have // layout.devices if copies == 1 else 1)
    kind = {"ddp": "single", "hsdp": "fsdp"}.get(layout.name, layout.name)
    return from_dict(Layout, asdict(layout) | {"name": kind, "replicate": None}), groups * copies


def together(unit: Layout, count: int) -> Layout:
    """So many of them in step."""
    if count == 1:
        return unit
    kind = {"single": "ddp", "fsdp": "hsdp"}.get(unit.name, unit.name)
    return from_dict(Layout, asdict(unit) | {"name": kind, "replicate": count})
