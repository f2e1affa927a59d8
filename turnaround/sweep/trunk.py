"""Shared trunks: trials that differ late only train their first steps once, and fork from there.

    step = shared(question, values)          # 1600: where trials like this one part, or none
    made = trunk(question, values, mark)     # the plan of those steps; trials begin with its end

With `optim.schedule=wsd optim.decay_after=0.8 optim.decay=linear,cosine,sqrt` the first 80 % of all
three are the same run. A fork is bit for bit the run that it would have been by itself, and answers
its question.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from turnaround.errors import PlanError
from turnaround.spec import Optim, Plan
from turnaround.sweep.question import Mark, Question, label, paused, planned
from turnaround.sweep.rungs import evaluations

FLAT = {"constant": None, "halving": "halve_after", "wsd": "decay_after"}  # full rate until there
_KNOBS = ("schedule", "floor", "decay", "decay_after", "halve_after", "halve_every")
LATE = {f"optim.{knob}" for knob in _KNOBS}
UNGUIDED = ("grid", "random")  # others choose a trial by what came of those before it


def shared(question: Question, values: dict[str, Any]) -> int | None:
    """The evaluation up to which all trials agree that differ from this one in late settings."""
    if not _worth_it(question):
        return None
    made = planned(question, values, Mark("sweep", 0))
    if made.budget.time is not None or not made.update.exact:
        return None
    if made.budget.examples and not made.data.constant:
        return None
    try:
        looks = evaluations(made.budget, made.evaluate, made.data)
    except PlanError:
        return None
    parts = min(_flat(replace(made.optim, **late), made, looks[-1]) for late in _late(question))
    return max((step for step in looks[:-1] if step <= parts), default=None)


def trunk(question: Question, values: dict[str, Any], mark: Mark, step: int) -> Plan:
    """The plan of the first steps of a trial, the same for all that part there."""
    plain = Optim()
    whole = planned(question, values, mark)
    optim = replace(whole.optim, **{knob: getattr(plain, knob) for knob in _KNOBS})
    early = {key: value for key, value in values.items() if key not in LATE}
    seed = mark.nth if question.settings.seeds > 1 else None
    name = f"trunk {label(question, early, seed) if early else ''}".strip()
    tags = {**whole.tags, "trial": "trunk"}
    return paused(replace(whole, optim=optim, name=name, tags=tags), step)


def _worth_it(question: Question) -> bool:
    """Two trials or more will share a trunk on the average."""
    late = [axis for axis in question.axes if axis.key in LATE]
    early = [axis for axis in question.axes if axis.key not in LATE]
    asked = question.settings
    if not late or not asked.share or asked.fuse or asked.name not in UNGUIDED:
        return False
    if not all(axis.listed for axis in early):
        return False
    return question.trials >= 2 * math.prod(len(axis.values) for axis in early)


def _late(question: Question) -> Iterator[dict[str, Any]]:
    """What late settings can be; of an interval its lower end, from which on things change."""
    axes = [axis for axis in question.axes if axis.key in LATE]
    names = [axis.key.rpartition(".")[2] for axis in axes]
    choices = [axis.values if axis.listed else [axis.low] for axis in axes]
    for some in itertools.product(*choices):
        yield dict(zip(names, some, strict=True))


def _flat(optim: Optim, plan: Plan, steps: int) -> int:
    """How many of the first steps are at full rate, but for the warm-up."""
    if optim.schedule not in FLAT:
        return 0
    knob = FLAT[optim.schedule]
    if knob is None:
        return steps
    budget, batch = plan.budget, plan.data.batch

    def share(step: int) -> float:  # as the loop reckons it
        by_steps = step / budget.steps if budget.steps else 0.0
        return max(by_steps, step * batch / budget.examples if budget.examples else 0.0)

    return bisect.bisect_left(range(steps), getattr(optim, knob), key=share)
