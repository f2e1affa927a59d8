"""Which settings are tried."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.sweeps import asked
from turnaround.spec import Event
from turnaround.sweep.question import Question
from turnaround.sweep.search import importance, proposed
from turnaround.sweep.state import State

LR = "optim.lr=tag(log,interval(0.001,1))"


def event(kind: str, **data: object) -> Event:
    return Event(kind, data, time.time())


def tried(question: Question, count: int, score: object) -> State:
    """A state in which so many trials have ended."""
    state = State(question.rises)
    for number in range(count):
        values = proposed(question, state, number, top=0)
        assert values is not None
        state.add(event("trial", number=number, values=values, name=""))
        result = {"status": "SUCCEEDED", "reason": "", "steps": 1, "seconds": 1.0}
        state.add(event("result", number=number, rung=0, score=score(values), **result))  # type: ignore[operator]  # a function
    return state


def test_a_grid_is_counted_through_in_order(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=0.1,0.2", "recipe.slope=1.0,2.0,3.0")
    points = [proposed(question, State(False), number, 0) for number in range(7)]
    assert points[-1] is None
    assert [p["recipe.slope"] for p in points[:3] if p] == [1.0, 2.0, 3.0]
    assert len({str(p) for p in points[:6]}) == 6


def test_random_settings_follow_from_seed_and_number(project: Path, own: Path) -> None:
    question = asked(project, own, LR, "data.batch=interval(1,4)", name="random", trials=400)
    state = State(False)
    points = [proposed(question, state, number, 0) or {} for number in range(400)]
    assert points == [proposed(question, state, number, 0) for number in range(400)]
    logs = [math.log10(p["optim.lr"]) for p in points]
    assert abs(sum(logs) / 400 + 1.5) < 0.15
    counts = [sum(p["data.batch"] == n for p in points) for n in (1, 2, 3, 4)]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_a_finite_space_is_never_tried_twice(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=0.1,0.2", "recipe.slope=1.0,2.0,3.0", name="tpe")
    state = tried(question, 6, lambda values: values["optim.lr"])
    assert len({str(t.values) for t in state.trials.values()}) == 6
    assert proposed(question, state, 6, 0) is None


@pytest.mark.parametrize("way", ["random", "tpe"])
def test_a_space_of_whole_numbers_is_never_tried_twice(
    project: Path, own: Path, way: Literal["random", "tpe"]
) -> None:
    words = ("data.batch=interval(1,4)", "optim.warmup=tag(log,interval(1,4))")
    question = asked(project, own, *words, name=way, trials=20)
    state = tried(question, 16, lambda values: values["data.batch"])
    assert len({str(t.values) for t in state.trials.values()}) == 16
    assert proposed(question, state, 16, 0) is None


def test_tpe_gathers_where_it_is_good_and_repeats_itself(project: Path, own: Path) -> None:
    question = asked(project, own, LR, name="tpe", trials=30)

    def score(values: dict[str, float]) -> float:
        return (math.log10(values["optim.lr"]) + 1) ** 2

    state = tried(question, 30, score)
    late = [abs(math.log10(state.trials[n].values["optim.lr"]) + 1) for n in range(20, 30)]
    assert sorted(late)[5] < 0.4
    assert proposed(question, state, 30, 0) == proposed(question, state, 30, 0)


@pytest.mark.slow  # importing scikit-learn takes seconds
def test_what_matters_is_found(project: Path, own: Path) -> None:
    question = asked(project, own, LR, "recipe.slope=interval(1,2)", name="random", trials=30)
    state = tried(question, 30, lambda values: math.log10(values["optim.lr"]))
    shares = importance(question, state, top=0)
    assert shares["optim.lr"] > 0.8
    assert math.isclose(sum(shares.values()), 1)
