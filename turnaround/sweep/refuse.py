"""What a sweep cannot be asked, refused before anything is sent.

    axes(found, settings)      # a space that makes no sense
    plans(question)            # and what a plan refuses, or asks twice

All of it ConfigError or PlanError, with what to write instead.
"""

from __future__ import annotations

import re
from typing import Any

from turnaround import config
from turnaround.config import Axis
from turnaround.errors import ConfigError
from turnaround.fusible import apart
from turnaround.spec import Plan
from turnaround.sweep.question import Mark, Points, Question, Settings, first, planned, point

MOVING = ("optim.lr", "optim.weight_decay", "optim.momentum", "optim.clip")  # between generations
_IDLE = ("name", "tags", "cluster", "tracking", "checkpoint")  # they make no other question
_ALONE = "leave it out"
_LISTED = ("grid", "asha", "hyperband")  # they can try what a file names


def axes(found: list[Axis], asked: Settings, points: Points | None) -> None:
    """No space, or one that this search cannot go through."""
    _named(found, asked, points)
    keys = [axis.key for axis in found]
    if not found and asked.seeds == 1:
        message = "no word has several values, so there is nothing to try"
        raise ConfigError(message, "optim.lr=1e-3,1e-2 or sweep.seeds=3; `turnaround run` runs one")
    if intervals := [axis.key for axis in found if not axis.listed and asked.name == "grid"]:
        message = f"{intervals[0]} is an interval, and sweep=grid tries every value there is"
        raise ConfigError(message, "sweep=random, sweep=tpe or sweep=asha draws from it")
    if asked.name == "grid" and asked.trials:
        message = f"sweep.trials={asked.trials} with sweep=grid, which tries the whole grid"
        raise ConfigError(message, "sweep=random tries some of it")
    guided = asked.name == "tpe" or (asked.name in ("asha", "hyperband") and asked.sampler == "tpe")
    if asked.like and not guided:
        message = f"sweep.like={asked.like}, but nothing of sweep={asked.name} goes by scores"
        raise ConfigError(message, "sweep=tpe, or sweep=asha")
    fixed = [key for key in keys if key not in MOVING]
    if fixed and asked.name == "pbt":
        message = f"{fixed[0]} cannot change while a model is trained, and sweep=pbt changes it"
        raise ConfigError(message, f"sweep=asha, or only {', '.join(MOVING)}")
    if asked.seeds > 1 and "seed" in keys:
        message = f"seed takes several values, and sweep.seeds={asked.seeds} repeats over seeds"
        raise ConfigError(message, "one of them")
    if idle := [key for key in keys if key.partition(".")[0] in _IDLE]:
        message = f"{idle[0]} makes no other question: every value would give the same answer"
        raise ConfigError(
            message, "sweep over what the signature counts: see turnaround plan --help"
        )


def _named(found: list[Axis], asked: Settings, points: Points | None) -> None:
    """What does not go with a file of points."""
    if points is None:
        return
    if asked.name not in _LISTED:
        message = f"{points.file} says what to try, and sweep={asked.name} chooses by itself"
        raise ConfigError(message, f"sweep={', '.join(_LISTED)}, or no --points")
    for axis in found:
        if not axis.listed:
            message = f"{axis.key} is an interval, and {points.file} is tried point by point"
            raise ConfigError(message, f"{axis.key}=A,B: each with every point")


def plans(question: Question) -> None:
    """All that a plan can refuse is refused now, and no two values ask the same."""
    some = first(question)
    made = planned(question, some, Mark("sweep", 0))
    if question.settings.fuse:
        _fused(question, made)
    if question.points:
        _twice(question)
    for axis in question.free:
        others = axis.values if axis.listed else [int(axis.high) if axis.integer else axis.high]
        asked: dict[str, Any] = {}
        for value in others:
            made = planned(question, some | {axis.key: value}, Mark("sweep", 0))
            if made.signature in asked:
                shown = config.written(axis.key, value)
                before = config.written(axis.key, asked[made.signature])
                message = f"{shown} and {before} are the same question"
                raise ConfigError(message, "leave one of them out")
            asked[made.signature] = value


def _twice(question: Question) -> None:
    """Every point can be planned, and no two of them ask the same."""
    asked: dict[str, dict[str, Any]] = {}
    others = int(question.size) // len(question.points.rows) if question.points else 1
    for number in range(0, int(question.size), others):
        values = point(question, number)
        made = planned(question, values, Mark("sweep", 0))
        if made.signature in asked:
            told = [_said(one) for one in (values, asked[made.signature])]
            raise ConfigError(f"{told[0]} and {told[1]} are the same question", "leave one out")
        asked[made.signature] = values


def _said(values: dict[str, Any]) -> str:
    return " ".join(config.written(key, value) for key, value in values.items())


def _fused(question: Question, made: Plan) -> None:
    """What the recipe promises, it says in its file; what torch can do is seen when it is done."""
    if why := apart(made):
        raise ConfigError(f"sweep.fuse=true, but trials with {why} are trained one by one", _ALONE)
    for stem in question.stems:
        file = stem.config.recipe_file
        if not re.search(r"^ +fusible(: \w+)? = True", file.read_text(), re.MULTILINE):
            message = f"sweep.fuse=true, but recipe {stem.config.recipe.name} does not allow it"
            raise ConfigError(
                message, "fusible = True in its class, if it keeps what that promises"
            )
