"""What is known of a run at a glance: a row of the journal."""

from __future__ import annotations

import dataclasses
import json
import secrets
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from turnaround.cost import asked
from turnaround.spec import Plan, Status

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: ids are read aloud and typed
_JSON = ("tags", "summary", "asked", "cost")


def new_id(recipe: str) -> str:
    """A name for a run that can be typed: the recipe's, and five letters (29 million)."""
    return f"{recipe}-{''.join(secrets.choice(_ALPHABET) for _ in range(5))}"


@dataclass(frozen=True)
class Run:
    """One row: a Plan being carried out."""

    id: str
    recipe: str
    name: str | None
    experiment: str
    project: str
    signature: str
    tags: dict[str, str]
    cluster: str
    tracking: str  # MLflow URI, or "" when nothing is tracked
    interpreter: str
    priority: int
    devices: int
    status: Status
    reason: str  # why it waits, failed or stopped; "" when there is nothing to say
    attempt: int  # the latest; 0 before the first
    failures: int  # of machines and workers, not of user code
    stopping: bool  # somebody asked it to stop
    submitted: float
    started: float | None
    ended: float | None
    exit_code: int | None
    summary: dict[str, Any] = field(default_factory=dict)  # of the last `summary` event
    recorded: bool = False  # everything has reached MLflow
    owner: str = ""  # who carries an inline run out: "pid:create time"; else ""
    asked: dict[str, Any] = field(default_factory=dict)  # of the plan, what forecasts go by
    cost: dict[str, float] = field(default_factory=dict)  # seconds by part, once it has succeeded

    @classmethod
    def of(cls, plan: Plan, run: str, now: float, owner: str = "") -> Run:
        """The row of a plan that is submitted now."""
        return cls(
            id=run,
            recipe=plan.recipe.name,
            name=plan.name,
            experiment=plan.experiment,
            project=plan.place.project,
            signature=plan.signature,
            tags=plan.tags,
            cluster=plan.cluster.name,
            tracking=(plan.tracking.uri or "") if plan.tracking.name == "mlflow" else "",
            interpreter=plan.place.interpreter,
            priority=plan.cluster.priority,
            devices=plan.devices,
            status=Status.QUEUED,
            reason="",
            attempt=0,
            failures=0,
            stopping=False,
            submitted=now,
            started=None,
            ended=None,
            exit_code=None,
            recorded=plan.tracking.name != "mlflow",
            owner=owner,
            asked=asked(plan),
        )


COLUMNS = [f.name for f in dataclasses.fields(Run)]


def read(row: sqlite3.Row) -> Run:
    """The run of a row of the database."""
    fields = dict(row)
    for name in _JSON:
        fields[name] = json.loads(fields[name]) if fields[name] != "{}" else {}
    fields["status"] = Status(fields["status"])
    fields["stopping"] = bool(fields["stopping"])
    fields["recorded"] = bool(fields["recorded"])
    return Run(**fields)


def flat(fields: dict[str, Any]) -> list[Any]:
    """What the database keeps of these fields."""
    return [json.dumps(value) if name in _JSON else value for name, value in fields.items()]
