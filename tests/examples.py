"""Small whole values that many tests start from."""

from __future__ import annotations

import sys

from turnaround.journal import Run
from turnaround.spec import (
    Budget,
    Checkpoint,
    Cluster,
    Data,
    Evaluate,
    Layout,
    Optim,
    Place,
    Plan,
    Recipe,
    Status,
    Tracking,
    Update,
)


def example_plan() -> Plan:
    """A plan of nothing in particular, that no test changes."""
    return Plan(
        recipe=Recipe("reverse", {"width": 64}),
        data=Data(),
        optim=Optim(),
        layout=Layout(),
        update=Update(),
        budget=Budget(steps=10),
        evaluate=Evaluate(),
        checkpoint=Checkpoint(),
        cluster=Cluster(device="cpu", threads=1),
        tracking=Tracking("none"),
        place=Place("/tmp", sys.executable, "recipes/reverse.py", "c0de", "da7a", snapshot="5ee"),
        signature="0123456789abcdef",
    )


def example_run(name: str = "reverse-22222") -> Run:
    """A queued run of that plan."""
    plan = example_plan()
    return Run(
        id=name,
        recipe=plan.recipe.name,
        name=None,
        experiment=plan.experiment,
        project=plan.place.project,
        signature=plan.signature,
        tags={},
        cluster="pool",
        tracking="",
        interpreter=plan.place.interpreter,
        priority=0,
        devices=1,
        status=Status.QUEUED,
        reason="",
        attempt=0,
        failures=0,
        stopping=False,
        submitted=0.0,
        started=None,
        ended=None,
        exit_code=None,
    )
