"""Where rungs lie, and who goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.sweeps import asked
from turnaround.errors import PlanError
from turnaround.spec import Budget, Evaluate, Event
from turnaround.sweep.rungs import evaluations, furthest, ladder, promoted
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
    assert evaluations(Budget(steps=25), Evaluate(), 1) == [3, 5, 8, 10, 13, 15, 18, 20, 23, 25]
    assert evaluations(Budget(examples=100), Evaluate(every=4), 10) == [4, 8, 10]


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
    assert promoted(state(3.0, 2.0), 3, eta=3) is None
    best = promoted(state(3.0, 2.0, 1.0), 3, eta=3)
    assert best is not None
    assert best.number == 2
    best.rung = 1
    assert promoted(state(None, None, None), 3, eta=3) is None


def test_of_those_that_wait_the_best_of_the_highest_rung_is_furthest() -> None:
    made = state(3.0, 2.0, 1.0, None)
    found = furthest(made, 3)
    assert found is not None
    assert found.number == 2
