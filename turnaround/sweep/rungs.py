"""Rungs: how far trials train before the best of them go on.

    steps = ladder(question)                 # [100, 300, None]: the last rung is the whole budget
    next(promoted(state, len(steps), eta=3)) # a trial that is worth its next rung

Asynchronous successive halving (Li et al., 2020, algorithm 2), alone or in Hyperband's brackets.
A trial that is not promoted pauses
with its checkpoint, and goes on from there: nothing is trained twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from turnaround.errors import PlanError
from turnaround.spec import Budget, Data, Evaluate
from turnaround.sweep.question import Question
from turnaround.sweep.state import State, Trial

PAUSING = ("asha", "hyperband", "pbt")  # trials pause at rungs
TENTHS = 10  # evaluations in a budget when nobody says how many


def ladder(question: Question) -> list[int | None]:
    """The step at which each rung ends; none: the end of the budget."""
    asked = question.settings
    if asked.name not in PAUSING:
        return [None]
    config = question.stems[0].config
    looks = evaluations(config.budget, config.evaluate, config.data)
    if asked.name == "pbt":
        return _even(looks, asked.rungs or TENTHS)
    count = asked.rungs or 1 + int(math.log(max(len(looks), 1), asked.eta) + 1e-9)
    shares = [asked.eta**-k for k in range(count - 1, 0, -1)]
    found = [min(looks, key=lambda step: abs(step - share * looks[-1])) for share in shares]
    below: list[int | None] = [step for step in dict.fromkeys(found) if step < looks[-1]]
    if not below or (asked.rungs and len(below) < asked.rungs - 1):
        message = (
            f"{len(looks)} evaluations in the budget are too few for rungs of sweep={asked.name}"
        )
        raise PlanError(message, f"evaluate.every={max(1, looks[-1] // 9)}, or sweep=tpe")
    return [*below, None]


def _even(looks: list[int], count: int) -> list[int | None]:
    """So many legs of the same length, or as many as there are evaluations."""
    count = min(count, len(looks))
    if count < 2:
        message = f"{len(looks)} evaluations in the budget are too few for generations of sweep=pbt"
        raise PlanError(message, f"evaluate.every={max(1, looks[-1] // 10)}, or sweep=tpe")
    shares = [looks[-1] * k / count for k in range(1, count)]
    found = dict.fromkeys(min(looks, key=lambda step: abs(step - share)) for share in shares)
    return [*(step for step in found if step < looks[-1]), None]


def evaluations(budget: Budget, evaluate: Evaluate, data: Data) -> list[int]:
    """The steps after which a run is judged, so that a rung costs no evaluation of its own."""
    steps = budget.within(data)
    if steps is None:
        timed = "a budget of time alone has no steps to divide among rungs"
        unlike = "a budget of examples has no known steps where not each sees data.batch of them"
        raise PlanError(unlike if budget.examples else timed, "budget.steps=…")
    if evaluate.every:
        return [*range(evaluate.every, steps, evaluate.every), steps]
    return sorted({math.ceil(steps * tenth / TENTHS) for tenth in range(1, TENTHS + 1)})


def promoted(state: State, rungs: int, eta: int) -> Iterator[Trial]:
    """Trials among the best 1/eta of their rung that are still there; of the highest rung first.

    Those that began on the same rung are a bracket, and compete with one another only.
    """
    for rung in range(rungs - 2, -1, -1):
        for count, ranked in state.brackets(rung):
            some = itertools.islice(ranked, count // eta)
            yield from (trial for trial in some if waits(trial, rung))


def bracket(number: int, rungs: int, eta: int) -> int:
    """The rung on which that trial of `sweep=hyperband` begins.

    Each bracket gets about the same steps (Li et al., 2018, algorithm 1): one that begins `b` rungs
    higher has so many times fewer trials. They take turns, so that all are there from early on.
    """
    weights = [math.ceil(rungs / (rungs - b) * eta ** (rungs - 1 - b)) for b in range(rungs)]
    total, had = sum(weights), [0] * rungs
    for n in range(number % total + 1):
        behind = [weights[b] * (n + 1) / total - had[b] for b in range(rungs)]
        turn = max(range(rungs), key=behind.__getitem__)
        had[turn] += 1
    return turn


def waiting(state: State, rungs: int) -> Iterator[Trial]:
    """Trials that could go on: those of the highest rung first, of one rung the best."""
    for rung in range(rungs - 2, -1, -1):
        yield from (trial for trial in state.at(rung) if waits(trial, rung))


def spared(state: State, rungs: int) -> Iterator[Trial]:
    """The same by their places: the best of each rung, of higher ones first, then the second …"""
    boards = [[(trial, rung) for trial in state.at(rung)] for rung in range(rungs - 2, -1, -1)]
    for places in itertools.zip_longest(*boards):
        yield from (there[0] for there in places if there and waits(*there))


def leaders(state: State, rungs: int) -> Iterator[Trial]:
    """Of each rung the best of those that could go on."""
    for rung in range(rungs - 1):
        yield from itertools.islice((trial for trial in state.at(rung) if waits(trial, rung)), 1)


def ahead(state: State, trials: Iterable[Trial]) -> Trial | None:
    """Whoever beats the others where they had come as far; of the furthest on, if in doubt."""
    found: Trial | None = None
    for trial in sorted(trials, key=lambda each: (-each.rung, each.number)):
        if found is None or _badness(state, trial, trial.rung) < _badness(state, found, trial.rung):
            found = trial
    return found


def _badness(state: State, trial: Trial, rung: int) -> float:
    """Of its score there, or where it was first judged after that."""
    there = min((each for each in trial.results if each >= rung), default=rung)
    return state.badness(trial.results[there].score)


def waits(trial: Trial, rung: int) -> bool:
    """It has reached that rung with a score, and has gone no further."""
    result = trial.results.get(rung)
    return trial.rung == rung and result is not None and result.score is not None
