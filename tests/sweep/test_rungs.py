"""Where rungs lie, and who goes on."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.sweeps import asked
from turnaround.errors import PlanError
from turnaround.spec import Budget, Data, Evaluate, Event
from turnaround.sweep.rungs import ahead, bracket, evaluations, ladder, promoted, spared, waiting
from turnaround.sweep.state import State

LR = "optim.lr=interval(0.1,1)"


def test_rungs_lie_on_evaluations(project: Path, own: Path) -> None:
    assert ladder(asked(project, own, LR, name="asha")) == [9, 27, None]
    words = ("budget.steps=1000", "evaluate.every=10")
    assert ladder(asked(project, own, LR, *words, name="asha")) == [10, 40, 110, 330, None]
    assert ladder(asked(project, own, LR, *words, name="asha", rungs=2)) == [330, None]
    assert ladder(asked(project, own, LR, *words, name="asha", eta=10)) == [10, 100, None]
    assert ladder(asked(project, own, LR, name="tpe")) == [None]


def test_a_budget_without_rungs_is_refused(project: Path, own: Path) -> None:
    with pytest.raises(PlanError, match="too few"):
        ladder(asked(project, own, LR, "evaluate.every=90", name="asha"))
    with pytest.raises(PlanError, match="a budget of time alone"):
        ladder(asked(project, own, LR, "budget.steps=null", "budget.time=9s", name="asha"))


def test_evaluations_are_those_of_the_loop() -> None:
    looks = [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    assert evaluations(Budget(steps=25), Evaluate(), Data(batch=1)) == looks
    assert evaluations(Budget(examples=100), Evaluate(every=4), Data(batch=10)) == [4, 8, 10]
    with pytest.raises(PlanError, match="not each sees"):
        evaluations(Budget(examples=100), Evaluate(), Data(whole=True))


def state(*scores: float | None) -> State:
    made = State(rises=False)
    for number, score in enumerate(scores):
        trial = {"number": number, "values": {}, "name": ""}
        made.add(Event("trial", trial, time.time()))
        status = "FAILED" if score is None else "SUCCEEDED"
        result = {"status": status, "reason": "", "steps": 9, "seconds": 1.0}
        data = {"number": number, "rung": 0, "score": score, **result}
        made.add(Event("result", data, time.time()))
    return made


def test_the_best_third_of_a_rung_goes_on() -> None:
    assert not list(promoted(state(3.0, 2.0), 3, eta=3))
    (best,) = promoted(state(3.0, 2.0, 1.0), 3, eta=3)
    assert best.number == 2
    assert not list(promoted(state(None, None, None), 3, eta=3))


def test_brackets_get_about_the_same_steps_from_early_on() -> None:
    """Three rungs of a third each: 27 steps to the last; 9, 5 and 3 trials."""
    found = Counter(bracket(number, 3, eta=3) for number in range(17))
    assert found == {0: 9, 1: 5, 2: 3}
    assert {bracket(number, 3, eta=3) for number in range(5)} == {0, 1, 2}
    assert bracket(17, 3, eta=3) == bracket(0, 3, eta=3)


def test_generations_are_of_one_length(project: Path, own: Path) -> None:
    words = ("budget.steps=1000", "evaluate.every=10")
    found = ladder(asked(project, own, "optim.lr=interval(0.1,1)", *words, name="pbt", rungs=4))
    assert found == [250, 500, 750, None]
    assert len(ladder(asked(project, own, "optim.lr=interval(0.1,1)", name="pbt"))) == 10
    with pytest.raises(PlanError, match="too few"):
        ladder(asked(project, own, "optim.lr=interval(0.1,1)", "evaluate.every=90", name="pbt"))


def test_whoever_was_better_where_both_had_come_is_ahead() -> None:
    made = state(3.0, 2.0, 1.0)
    result = {"status": "SUCCEEDED", "reason": "", "steps": 9, "seconds": 1.0}
    made.add(Event("rung", {"number": 1, "rung": 1}, time.time()))
    made.add(Event("result", {"number": 1, "rung": 1, "score": 0.5, **result}, time.time()))
    found = ahead(made, made.trials.values())
    assert found is not None
    assert found.number == 2
    assert [trial.number for trial in spared(made, 3)] == [1, 2, 0]


def test_of_those_that_wait_the_best_of_the_highest_rung_is_furthest() -> None:
    made = state(3.0, 2.0, 1.0, None)
    found = next(waiting(made, 3), None)
    assert found is not None
    assert found.number == 2
