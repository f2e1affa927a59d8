"""Everything that crosses a process: frozen data classes, JSON both ways.

    plan = Plan(recipe=Recipe("seq2seq"), …)
    assert from_json(Plan, to_json(plan)) == plan

groups: what can be asked · plan: what will be done · job: a rank's part · events: what happened
"""

from turnaround.spec.coding import acquaint, from_dict, from_json, to_dict, to_json
from turnaround.spec.events import Event, Status
from turnaround.spec.groups import (
    DEGREES,
    Budget,
    Checkpoint,
    Cluster,
    Data,
    Evaluate,
    Layout,
    Optim,
    Recipe,
    Tracking,
    Update,
)
from turnaround.spec.job import PROTOCOL, Assignment, Fit, Inventory
from turnaround.spec.kinds import (
    PARTS,
    Amount,
    Count,
    Knob,
    Momentum,
    Part,
    Seconds,
    Seed,
    Share,
    part,
    seconds,
)
from turnaround.spec.plan import Place, Plan

__all__ = [
    "DEGREES",
    "PARTS",
    "PROTOCOL",
    "Amount",
    "Assignment",
    "Budget",
    "Checkpoint",
    "Cluster",
    "Count",
    "Data",
    "Evaluate",
    "Event",
    "Fit",
    "Inventory",
    "Knob",
    "Layout",
    "Momentum",
    "Optim",
    "Part",
    "Place",
    "Plan",
    "Recipe",
    "Seconds",
    "Seed",
    "Share",
    "Status",
    "Tracking",
    "Update",
    "acquaint",
    "from_dict",
    "from_json",
    "part",
    "seconds",
    "to_dict",
    "to_json",
]
