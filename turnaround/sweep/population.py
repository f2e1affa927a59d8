"""Population-based training: a generation is trained as far as its rung, then the worst quarter
make way for copies of the best, whose settings are shaken (Jaderberg et al., 2017). A member is as
good as its newest score: what is copied is where it stands, not where it was best.

    step = step(question, state, top)       # who goes on, or whose checkpoint goes on and how

A copy begins with the checkpoint of its model and is a trial of its own, so that nothing of what
happened is lost. All of it follows from the results, the seed and the numbers of the trials.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from turnaround.config import Axis
from turnaround.sweep.question import Question
from turnaround.sweep.search import drawn
from turnaround.sweep.state import State, Trial

QUARTER = 4  # one in so many is replaced
AFRESH = 0.25  # chance that a setting is drawn anew instead of shaken
SHAKES = (0.8, 1.25)


@dataclass(frozen=True)
class Step:
    """One member of the next generation."""

    trial: int  # that goes on, or whose checkpoint does
    rung: int
    values: dict[str, Any] | None = None  # of the copy
    place: int | None = None  # the founder whose line the copy ends


def founders(state: State) -> list[Trial]:
    """The members of the first generation; each later one holds a founder's place."""
    return [trial for trial in state.trials.values() if trial.place is None]


def step(question: Question, state: State, top: int) -> Step | None:
    """What is to be done next; none while a generation is under way, or when all is done."""
    holders = {trial.number: trial for trial in founders(state)}
    for rung in range(top):
        if any(rung not in trial.results for trial in holders.values()):
            return None
        lost, models = _chosen(state, holders, rung)
        if not models:
            return None
        copies = [t for t in state.trials.values() if t.first == rung + 1]
        heirs = {trial.place: trial for trial in copies if trial.place is not None}
        for place in lost:
            if place not in heirs:
                return _copied(question, models, rung, place)
        for place, trial in holders.items():
            if place not in lost and trial.rung == rung:
                return Step(trial.number, rung + 1)
        holders = {place: heirs.get(place, trial) for place, trial in holders.items()}
    return None


def _chosen(state: State, holders: dict[int, Trial], rung: int) -> tuple[list[int], list[Trial]]:
    """Places whose holders make way, and the trials that are worth a copy."""
    scores = {place: state.badness(trial.results[rung].score) for place, trial in holders.items()}
    ranked = sorted(holders, key=lambda place: (scores[place], place))
    few = len(ranked) // QUARTER or len(ranked) // 2
    failed = [place for place in ranked if holders[place].results[rung].score is None]
    models = [place for place in ranked[: max(few, 1)] if place not in failed]
    lost = [place for place in ranked[len(ranked) - few :] if place not in models]
    return sorted({*lost, *failed}), [holders[place] for place in models]


def _copied(question: Question, models: list[Trial], rung: int, place: int) -> Step:
    rng = random.Random(f"{question.settings.seed}/pbt/{rung}/{place}")
    model = rng.choice(models)
    fresh = drawn(question.axes, rng)
    values = {axis.key: _shaken(axis, model.values[axis.key], rng) for axis in question.axes}
    values = {k: fresh[k] if rng.random() < AFRESH else value for k, value in values.items()}
    return Step(model.number, rung + 1, values, place)


def _shaken(axis: Axis, value: Any, rng: random.Random) -> Any:
    """A fifth less or a quarter more; of listed values a neighbour."""
    if axis.listed:
        there = axis.values.index(value) + rng.choice((-1, 1))
        return axis.values[min(max(there, 0), len(axis.values) - 1)]
    found = min(max(value * rng.choice(SHAKES), axis.low), axis.high)
    return round(found) if axis.integer else found
