"""Whether trials are fused: by what they promise, by what is seen, and by what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.fused.test_equal import apart, by_itself
from tests.engine.fused.trials import blobs, together
from turnaround.engine.fused import gate
from turnaround.errors import PlanError
from turnaround.spec import Budget, Data, Place, Recipe, Update


class Machine:
    """Steps that take as long as somebody says."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.tried: list[int] = []

    def step(self, size: int) -> Callable[[], None]:
        self.tried.append(size)

        def step() -> None:
            self.now += self.seconds[size]

        return step

    def choose(self, trials: int, work: float = math.inf) -> gate.Choice:
        return gate.choose(lambda: self.step(1), self.step, trials, work, lambda: self.now)


def test_the_size_that_takes_most_steps_a_second_is_chosen() -> None:
    assert Machine({1: 1e-3, 4: 4e-3, 16: 5e-3, 64: 6e-3}).choose(64).size == 64
    assert Machine({1: 1e-3, 4: 2e-3, 16: 4e-3, 64: 40e-3}).choose(64).size == 16


def test_what_is_no_faster_is_not_fused() -> None:
    assert Machine({1: 1e-3, 4: 4e-3, 16: 16e-3, 64: 62e-3}).choose(64).size == 1


def test_no_more_members_are_tried_than_there_are() -> None:
    machine = Machine({1: 1e-3, 4: 1e-3, 10: 1e-3})
    assert machine.choose(10).size == 10
    assert machine.tried == [1, 4, 10]


def test_finding_out_costs_little_beside_the_work() -> None:
    for steps in (50, 300, 1000, 10_000):
        for speeds in ({1: 7e-3, 4: 30e-3, 16: 0.2, 64: 1.1}, {1: 4e-4, 4: 5e-4, 64: 3e-3}):
            machine = Machine({16: 8e-4} | speeds)
            machine.choose(64, work=64 * steps)
            assert machine.now < 0.06 * 64 * steps * speeds[1] + 60 * speeds[1]


def test_where_there_is_little_to_do_it_is_not_tried() -> None:
    machine = Machine({1: 1e-3})
    choice = machine.choose(4, work=80)
    assert (choice.size, machine.tried) == (1, [1])
    assert "too little to do" in str(choice)


def test_a_group_that_would_take_seconds_a_step_is_not_tried() -> None:
    machine = Machine({1: 0.3, 4: 1.2})
    assert machine.choose(64).size == 1
    assert machine.tried == [1, 4]


def test_trials_are_shared_out_evenly() -> None:
    assert gate.shares(20, 16) == [10, 10]
    assert gate.shares(64, 16) == [16] * 4
    assert gate.shares(3, 1) == [1, 1, 1]


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"dropout": 0.1}, "something is drawn while training"),
        ({"norm": True}, "changes while training"),
    ],
)
def test_a_model_that_cannot_be_fused_is_trained_by_itself(
    knobs: dict[str, object], why: str, tmp_path: Path
) -> None:
    plans = [blobs(seed=i, knobs=knobs) for i in range(2)]
    for told, plan in zip(together(plans, tmp_path), plans, strict=True):
        assert why in told.one("notice")["message"]
        assert apart(told, by_itself(plan, tmp_path)) == 0


def test_a_recipe_that_does_not_promise_it_is_left_alone(tmp_path: Path) -> None:
    digits = [
        replace(plan, recipe=Recipe("digits"), place=_digits(plan.place))
        for plan in (blobs(seed=0), blobs(seed=1))
    ]
    for told in together(digits, tmp_path):
        assert told.code == 0
        assert "recipe digits does not allow it" in told.one("notice")["message"]


def _digits(place: Place) -> Place:
    return replace(place, recipe_file="recipes/digits.py")


def test_a_plan_that_cuts_its_batch_is_left_alone(tmp_path: Path) -> None:
    plans = [replace(blobs(seed=i), update=Update(accumulate=2)) for i in range(2)]
    for told in together(plans, tmp_path):
        assert told.code == 0
        assert told.one("notice")["message"] == "trained one by one: update.accumulate"


def test_what_the_gate_chose_is_said(tmp_path: Path) -> None:
    long = [replace(blobs(seed=i), budget=Budget(steps=500)) for i in range(5)]
    for told in together(long, tmp_path):
        assert told.code == 0
        assert "steps a second beside one by one: 4:" in told.one("notice")["message"]


def test_runs_of_other_shapes_are_refused(tmp_path: Path) -> None:
    plans = [blobs(), replace(blobs(), data=Data(batch=11))]
    with pytest.raises(PlanError, match="is no trial like"):
        together(plans, tmp_path)
