"""One device draws the same curve as many, for every exact layout and update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.spread import (
    LAYOUTS,
    PRODUCTS,
    QUICK,
    exact,
    layout,
    plan_for,
    slow,
    spelled,
)
from tests.engine.trials import Gang, Told, train, trial_plan
from turnaround.engine import updates
from turnaround.spec import Data, Layout, Optim, Plan, Recipe, Update

UPDATES = list(exact(updates, "Update"))
# Tolerances of the losses, relative. In fp32 the first steps of Adagrad amplify rounding.
CASES: dict[str, tuple[float, dict[str, Any]]] = {
    "fp64": (1e-9, {"precision": "fp64", "optim": Optim("sgd", lr=0.5)}),
    "fp64 clipped": (1e-9, {"precision": "fp64", "optim": Optim("adam", lr=0.01, clip=0.1)}),
    "fp64 in buckets": (1e-9, {"precision": "fp64", "data": Data(batch=12, bucket=4)}),
    "fp32 sgd": (1e-6, {"optim": Optim("sgd", lr=0.5)}),
    "fp32 adam": (1e-6, {"optim": Optim("adam", lr=0.01)}),
    "fp32 adagrad": (5e-5, {"optim": Optim("adagrad", lr=0.1)}),
}
QUICKLY = ("fp64 clipped", "fp64 in buckets", "fp32 adagrad")
CLIPPED = CASES["fp64 clipped"][1]


def agree(one: Told, two: Told, tolerance: float) -> None:
    """Every loss and score of both is the same, but for rounding."""
    assert (one.code, two.code) == (0, 0), (one.of("error"), two.of("error"))
    assert len(one.curve()) == 40
    assert two.curve() == pytest.approx(one.curve(), rel=tolerance)
    assert two.curve("norm") == pytest.approx(one.curve("norm"), rel=max(tolerance, 1e-5))
    assert two.curve("loss", "valid") == pytest.approx(one.curve("loss", "valid"), rel=tolerance)
    assert two.one("summary")["values"] == pytest.approx(
        one.one("summary")["values"], rel=tolerance
    )


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICKLY else [slow]) for case in CASES]
)
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "ddp" else [slow]) for n in LAYOUTS]
)
def test_two_devices_draw_the_curve_of_one(
    name: str, update: Any, case: str, tmp_path: Path
) -> None:
    tolerance, changes = CASES[case]
    accumulate = 2 if name == "pipeline" else 1
    plan = plan_for(name, update=Update(update, accumulate), **changes)
    two, *_ = Gang(replace(plan, layout=layout(name)), tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_accumulating_devices_draw_the_curve_of_one(name: str, tmp_path: Path) -> None:
    plan = plan_for(name, **CLIPPED)
    spread = replace(plan, layout=layout(name), update=Update(accumulate=3))
    two, *_ = Gang(spread, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("product", PRODUCTS, ids=spelled)
def test_four_devices_draw_the_curve_of_one(
    product: dict[str, Any], accumulate: int, tmp_path: Path
) -> None:
    plan = plan_for(product["name"], data=Data(batch=16), **CLIPPED)
    if product["name"] == "pipeline" and accumulate < product["pipeline"]:
        pytest.skip("stages that nothing fills")
    spread = replace(plan, layout=Layout(**product), update=Update(accumulate=accumulate))
    four, *_ = Gang(spread, tmp_path / "four").wait()
    agree(train(plan, tmp_path / "one"), four, 1e-9)


def test_two_devices_drop_what_one_that_accumulates_twice_drops(tmp_path: Path) -> None:
    plan = trial_plan(precision="fp64", recipe=Recipe("digits", {"dropout": 0.3}))
    two, _ = Gang(replace(plan, layout=Layout("ddp", 2)), tmp_path / "two").wait()
    agree(train(replace(plan, update=Update(accumulate=2)), tmp_path / "one"), two, 1e-9)
    assert two.curve() != train(trial_plan(precision="fp64"), tmp_path / "undropped").curve()


def test_bf16_learns_what_fp32_learns(tmp_path: Path) -> None:
    plan: Plan = trial_plan(budget=replace(trial_plan().budget, steps=100))
    full, half = train(plan, tmp_path / "a"), train(replace(plan, precision="bf16"), tmp_path / "b")
    assert half.one("summary")["values"]["test/loss"] == pytest.approx(
        full.one("summary")["values"]["test/loss"], rel=0.05
    )
