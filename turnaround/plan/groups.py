"""How groups of devices agree: their number, and which updates have a use for which knob."""

from __future__ import annotations

import math
from dataclasses import fields, replace

from turnaround.errors import PlanError
from turnaround.spec import Layout, Update

_GROUPS = ("backup", "async", "hybrid", "local", "auto")
_OF = {  # which updates have a use for a knob; those not listed are everybody's
    "groups": _GROUPS,
    "compress": ("sync", "async", "hybrid"),
    "every": ("local", "async", "hybrid"),
    "outer_lr": ("local",),
    "outer_momentum": ("local",),
    "spares": ("backup",),
    **dict.fromkeys(("pull", "warm", "bound", "stale_lr", "shards"), ("async", "hybrid")),
}


def update(asked: Update, layout: Layout, have: int) -> Update:
    """The update with its number of groups; where nobody says, as many as fit, at least two."""
    _check_knobs(asked)
    if asked.name == "auto":
        message = "update=auto is chosen by a probe, when a run is planned by itself"
        raise PlanError(message, "`turnaround plan … update=auto` says which")
    _check_fit(asked, layout)
    if asked.name == "sync":
        return replace(asked, groups=1)
    fits = have // layout.devices
    made = replace(asked, groups=asked.groups or max(2, fits))
    groups, devices = made.groups or 1, layout.devices
    if groups == 1 and (devices == 1 or made.name != "hybrid"):
        raise PlanError(
            f"update={asked.name} with update.groups=1 has nobody to agree with",
            "update.groups=2 or more, or update=sync",
        )
    if groups * devices > have:
        least = "update=sync" if layout.name != "ddp" or have < 2 * groups else ""
        raise PlanError(
            f"update={asked.name} with update.groups={groups}, each layout={layout.name} on "
            f"{devices}, needs {groups * devices} devices, but there are {have}",
            f"update.groups={fits}" if fits > 1 else least or f"layout.replicate={have // groups}",
        )
    _check_groups(made)
    return made


def _check_knobs(asked: Update) -> None:
    """Nothing is asked of an update that it would ignore."""
    for knob in fields(asked):
        value, users = getattr(asked, knob.name), _OF.get(knob.name, (asked.name,))
        plain = value == knob.default or (knob.name == "groups" and value == 1)
        if not plain and asked.name not in users:
            message = f"update.{knob.name}={value} means nothing to update={asked.name}"
            raise PlanError(message, f"update={users[0]}, or leave it out")


def _check_fit(asked: Update, layout: Layout) -> None:
    """The update can work with groups that lie like this."""
    if asked.name == "async" and layout.devices > 1:
        message = f"update=async has groups of one device, but layout={layout.name} has more"
        raise PlanError(message, "update=hybrid")
    if asked.name == "backup" and layout.name not in ("single", "ddp"):
        message = f"update=backup drops whole gradients, but layout={layout.name} cuts them up"
        raise PlanError(message, "layout=ddp, or update=hybrid")
    if asked.name == "sync" and asked.compress != "none" and layout.name not in ("single", "ddp"):
        message = f"update.compress={asked.compress} is not made for layout={layout.name}"
        raise PlanError(message, "layout=ddp, or update.compress=none")


def _check_groups(update: Update) -> None:
    groups, every = update.groups or 1, update.every or 1
    if update.name == "backup" and update.spares >= groups:
        message = f"update.spares={update.spares} leaves none of {groups} groups to wait for"
        raise PlanError(message, f"update.spares={groups - 1} or fewer")
    if update.pull and update.pull % every:
        message = f"update.pull={update.pull} is no multiple of update.every={every}"
        raise PlanError(message, f"update.pull={math.ceil(update.pull / every) * every}")
