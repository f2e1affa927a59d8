"""Which runs can be trained as one, as far as their plans tell; the recipe must allow it too.

common(plan) == common(other)      # they have the same shapes and take the same steps
apart(plan)                        # why a run cannot be trained with others; "" if it can
"""

from __future__ import annotations

from typing import Any

from turnaround.spec import Plan

MOST = 64  # runs that are trained as one
STOP = "stop"  # a file in a run's folder: it shall stop, of all that are trained with it,
ENDED = "ended"  # and one that has its exit code, once it is over


def common(plan: Plan) -> dict[str, Any]:
    """What runs must have in common to be trained as one (see `fusion.py`).

    Shapes and the order of operations follow from this. Seeds, settings of the optimizer, budgets
    and how often to look may differ: they are each member's own.
    """
    shapes = ("recipe", "data", "layout", "update", "cluster", "place", "precision", "version")
    return {name: getattr(plan, name) for name in shapes} | {"optim": plan.optim.name}


def apart(plan: Plan) -> str:
    """Why a run cannot be trained as one with others, as far as the plan tells; "" if it can."""
    if plan.devices > 1 or plan.update.name != "sync":
        return f"layout={plan.layout.name} and update={plan.update.name} take several devices"
    knobs = {
        "update.accumulate": plan.update.accumulate > 1,
        "update.straggle": plan.update.straggle > 0,
        "data.grow": plan.data.grow > 1,
        "layout.compile": plan.layout.compile,
        "layout.activation_checkpointing": plan.layout.activation_checkpointing,
        "precision=bf16": plan.precision == "bf16",
        "optim=lbfgs": plan.optim.name == "lbfgs",
    }
    return ", ".join(knob for knob, there in knobs.items() if there)
