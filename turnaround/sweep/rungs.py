"""Successive halving without waiting: how far trials train before the best of them go on.

    steps = ladder(question)                 # [100, 300, None]: the last rung is the whole budget
    promoted(state, steps, eta=3)            # a trial that is worth its next rung, or none

Asynchronous successive halving (Li et al., 2020, algorithm 2). A trial that is not promoted pauses
with its checkpoint, and goes on from there: nothing is trained twice.
"""

from __future__ import annotations

import math

from turnaround.errors import PlanError
from turnaround.spec import Budget, Evaluate
from turnaround.sweep.question import Question
from turnaround.sweep.state import State, Trial

TENTHS = 10  # evaluations in a budget when nobody says how many


def ladder(question: Question) -> list[int | None]:
    """The step at which each rung ends; none: the end of the budget."""
    asked = question.settings
    if asked.name != "asha":
        return [None]
    config = question.stems[0].config
    looks = evaluations(config.budget, config.evaluate, config.data.batch)
    count = asked.rungs or 1 + int(math.log(max(len(looks), 1), asked.eta) + 1e-9)
    shares = [asked.eta**-k for k in range(count - 1, 0, -1)]
    found = [min(looks, key=lambda step: abs(step - share * looks[-1])) for share in shares]
    below: list[int | None] = [step for step in dict.fromkeys(found) if step < looks[-1]]
    if not below or (asked.rungs and len(below) < asked.rungs - 1):
        message = f"{len(looks)} evaluations in the budget are too few for rungs of sweep=asha"
        raise PlanError(message, f"evaluate.every={max(1, looks[-1] // 9)}, or sweep=tpe")
    return [*below, None]


def evaluations(budget: Budget, evaluate: Evaluate, batch: int) -> list[int]:
    """The steps after which a run is judged, so that a rung costs no evaluation of its own."""
    limits = [budget.steps, math.ceil(budget.examples / batch) if budget.examples else None]
    steps = min((limit for limit in limits if limit), default=None)
    if steps is None:
        message = "sweep=asha divides the budget among rungs, and a budget of time alone has none"
        raise PlanError(message, "budget.steps=… or budget.examples=…")
    if evaluate.every:
        return [*range(evaluate.every, steps, evaluate.every), steps]
    return sorted({math.ceil(steps * tenth / TENTHS) for tenth in range(1, TENTHS + 1)})


def promoted(state: State, rungs: int, eta: int) -> Trial | None:
    """A trial among the best 1/eta of its rung that is still there; of the highest such rung."""
    for rung in range(rungs - 2, -1, -1):
        there = [trial for trial in state.trials.values() if rung in trial.results]
        scored = sorted(there, key=lambda trial: state.badness(trial.results[rung].score))
        for trial in scored[: len(there) // eta]:
            if waits(trial, rung):
                return trial
    return None


def furthest(state: State, rungs: int) -> Trial | None:
    """The best trial of the highest rung that any has reached and is waiting on."""
    for rung in range(rungs - 2, -1, -1):
        if there := state.ranked(trial for trial in state.trials.values() if waits(trial, rung)):
            return there[0]
    return None


def waits(trial: Trial, rung: int) -> bool:
    """It has reached that rung with a score, and has gone no further."""
    result = trial.results.get(rung)
    return trial.rung == rung and result is not None and result.score is not None
