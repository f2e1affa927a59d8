"""What a run was asked that costs time, and what it cost: the few numbers forecasts are made of.

    asked(plan)                       # {"like": {…}, "goal": {…}, …}, when it is submitted
    cost(events, started, ended)      # {"start": 0.8, "stepping": 41.2, …}, when it has succeeded

The journal keeps both in the run's row; they follow from its plan and its events alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from turnaround.spec import Event, Plan

_START = ("spawn", "import", "rendezvous", "build")  # rows of the ledger before the first step
_LOOK = ("evaluate", "checkpoint")
_REST = (*_START, *_LOOK, "finish", "replay", "recover")
_Number = bool | int | float | str | None


@dataclass(frozen=True)
class Past:
    """A run that succeeded: what was asked, what it cost."""

    asked: dict[str, Any]
    cost: dict[str, float]
    ended: float  # seconds since the epoch


def asked(plan: Plan) -> dict[str, Any]:
    """What the time goes by (`like`), when it ends (`goal`), and the score it is known by."""
    return {"like": _like(plan), "goal": _goal(plan), "score": plan.evaluate.score}


def cost(events: Iterable[Event], started: float, ended: float) -> dict[str, float]:
    """Seconds from start to end in parts that add up; nothing when more than one attempt made it,
    or when it was trained in one process with others, whose seconds are in it.

    start (to the loop), stepping (over all steps), looking (evaluations and checkpoints) and finish
    (test split, samples, the last words), with the number of steps; and by how many e-folds the
    second half of the steps was slower than the first, where the events reach back to it.
    """
    word: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    points: list[tuple[int, float]] = []
    for event in events:
        if event.attempt > 1 or together(event):
            return {}
        if event.kind == "ledger" and event.rank == 0:
            word = event.data
            points.append((word["step"], split(word["rows"])["stepping"]))
        elif event.kind == "summary":
            summary = event.data
    if not word or not summary.get("steps"):
        return {}
    parts = split(word["rows"])
    began = word["began"] + sum(word["rows"].get(row, 0.0) for row in _START)
    start = max(began - started, 0.0)
    finish = max(ended - started - start - parts["stepping"] - parts["looking"], 0.0)
    whole = {"start": start, **parts, "finish": finish, "steps": summary["steps"]}
    return whole | _drift(points, summary["steps"], parts["stepping"])


def together(event: Event) -> bool:
    """Says that the run was trained with others, as one."""
    return event.kind == "worker" and "gain" in event.data


def _drift(points: Sequence[tuple[int, float]], steps: int, seconds: float) -> dict[str, float]:
    """How the second half of the steps went, against the first, if it was said about half way."""
    step, at = min(points, key=lambda point: abs(point[0] - steps / 2))
    if abs(step - steps / 2) > steps / 6 or not 0 < at < seconds:
        return {}
    return {"drift": math.log((seconds - at) / (steps - step) * step / at)}


def split(rows: dict[str, float]) -> dict[str, float]:
    """Seconds of a ledger's rows that went into steps, and into evaluations and checkpoints."""
    looking = sum(rows.get(row, 0.0) for row in _LOOK)
    stepping = sum(seconds for row, seconds in rows.items() if row not in _REST)
    return {"stepping": max(stepping, 0.0), "looking": looking}


def _like(plan: Plan) -> dict[str, _Number]:
    """Knobs that make a step, an evaluation, a start or an end dear or cheap."""
    data = plan.data
    shape = {
        "data": data.path or data.train,
        "batch": data.batch,
        "bucket": data.bucket,
        "optim": plan.optim.name,
        "accumulate": plan.update.accumulate,
        "limit": plan.evaluate.limit,
        "precision": plan.precision,
    }
    place: dict[str, _Number] = {
        "layout": plan.layout.name,
        "devices": plan.devices,
        "cluster": plan.cluster.name,
        "device": plan.cluster.device,
        "threads": plan.cluster.threads,
    }
    knobs = {f"recipe.{name}": _plain(value) for name, value in plan.recipe.knobs.items()}
    return {**knobs, **shape, **place, **_unusual(plan)}


def _unusual(plan: Plan) -> dict[str, _Number]:
    """What few runs ask for, and only they say: to the others it is as if there were no such knob.

    So runs from before there was one are like those without it.
    """
    data, layout, update = plan.data, plan.layout, plan.update
    asked: dict[str, tuple[_Number, _Number]] = {
        "whole": (data.whole, False),
        "grow": (data.grow, 1),
        "update": (update.name, "sync"),
        "groups": (update.groups or 1, 1),
        "straggle": (update.straggle, 0.0),
        "compile": (layout.compile, False),
        "activation_checkpointing": (layout.activation_checkpointing, False),
        "share": (plan.cluster.share, None),
    }
    return {name: value for name, (value, usual) in asked.items() if value != usual}


def _goal(plan: Plan) -> dict[str, Any]:
    """When it is over, and how often it looks."""
    budget, data = plan.budget, plan.data
    examples = budget.examples if data.constant else None  # else they tell no number of steps
    goals = {"steps": budget.steps, "examples": examples, "time": budget.time}
    early = {"target": budget.target, "patience": plan.evaluate.patience}
    asked = {**goals, **early, "every": plan.evaluate.every, "batch": data.batch}
    return {name: value for name, value in asked.items() if value is not None}


def _plain(value: Any) -> _Number:
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
