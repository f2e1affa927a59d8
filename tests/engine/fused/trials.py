"""Several runs of the recipe `blobs`, together and each by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.engine.trials import Told, trial_plan
from turnaround import fusion
from turnaround.fusion import Ride
from turnaround.spec import Assignment, Evaluate, Event, Optim, Plan, Recipe


def blobs(seed: int = 0, knobs: dict[str, Any] | None = None, **optim: Any) -> Plan:
    """Fifty steps of it, in float64, with that seed and those settings of the optimizer."""
    plan = trial_plan(optim=Optim(**{"lr": 0.01} | optim), seed=seed, precision="fp64")
    place = replace(plan.place, recipe_file="recipes/blobs.py")
    budget = replace(plan.budget, steps=50)
    looks = Evaluate(every=25, score="right")
    plan = replace(plan, place=place, budget=budget, evaluate=looks)
    return replace(plan, recipe=Recipe("blobs", knobs or {}))


def folder(home: Path, place: int) -> Path:
    """Of one of the runs."""
    return home / "runs" / f"blobs-2222{place}"


def ride(plan: Plan, home: Path, place: int, told: Told, attempt: int = 1) -> Ride:
    """A run that tells `told` what it says."""
    where = folder(home, place)
    where.mkdir(parents=True, exist_ok=True)

    def send(text: str) -> None:
        told.events += [Event(**json.loads(line)) for line in text.splitlines()]

    return Ride(plan, Assignment(where.name, str(where), plan.place.project, attempt), send)


def together(
    plans: Sequence[Plan], home: Path, size: int | None = None, attempt: int = 1
) -> list[Told]:
    """Carried out in one process, `size` at a time."""
    told = [Told() for _ in plans]
    rides = [ride(plan, home, i, told[i], attempt) for i, plan in enumerate(plans)]
    for one, code in zip(told, fusion.carry(rides, size), strict=True):
        one.code = code
    return told
