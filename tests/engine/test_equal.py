"""One device draws the same curve as many, for every exact layout and update."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.engine.trials import Gang, Told, train, trial_plan
from turnaround.engine import layouts, updates
from turnaround.spec import Data, Layout, Optim, Plan, Recipe, Update


def exact(shelf: ModuleType, kind: str) -> Iterator[str]:
    """The names on a shelf whose class says that it is exact."""
    for module in pkgutil.iter_modules(shelf.__path__):
        found = importlib.import_module(f"{shelf.__name__}.{module.name}")
        if getattr(found, kind).exact and module.name != "base":
            yield module.name


LAYOUTS = list(exact(layouts, "Layout"))
UPDATES = list(exact(updates, "Update"))
# Tolerances of the losses, relative. In fp32 the first steps of Adagrad amplify rounding.
CASES: dict[str, tuple[float, dict[str, Any]]] = {
    "fp64": (1e-9, {"precision": "fp64", "optim": Optim("sgd", lr=0.5)}),
    "fp64 clipped": (1e-9, {"precision": "fp64", "optim": Optim("adam", lr=0.01, clip=0.1)}),
    "fp64 in buckets": (1e-9, {"precision": "fp64", "data": Data(batch=10, bucket=4)}),
    "fp32 sgd": (1e-6, {"optim": Optim("sgd", lr=0.5)}),
    "fp32 adam": (1e-6, {"optim": Optim("adam", lr=0.01)}),
    "fp32 adagrad": (5e-5, {"optim": Optim("adagrad", lr=0.1)}),
}


def agree(one: Told, two: Told, tolerance: float) -> None:
    """Every loss and score of both is the same, but for rounding."""
    assert (one.code, two.code) == (0, 0), (one.events[-1], two.events[-1])
    assert len(one.curve()) == 40
    assert two.curve() == pytest.approx(one.curve(), rel=tolerance)
    assert two.curve("norm") == pytest.approx(one.curve("norm"), rel=max(tolerance, 1e-5))
    assert two.curve("loss", "valid") == pytest.approx(one.curve("loss", "valid"), rel=tolerance)
    assert two.one("summary")["values"] == pytest.approx(
        one.one("summary")["values"], rel=tolerance
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_devices_draw_the_curve_of_one(
    layout: str, update: str, case: str, tmp_path: Path
) -> None:
    tolerance, changes = CASES[case]
    plan = trial_plan(update=Update(update), **changes)  # type: ignore[arg-type]  # found by name
    spread = replace(plan, layout=Layout(layout, 2))  # type: ignore[arg-type]  # found by name
    two, _ = Gang(spread, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_accumulating_devices_draw_the_curve_of_one(layout: str, tmp_path: Path) -> None:
    plan = trial_plan(precision="fp64")
    spread = replace(plan, layout=Layout(layout, 2), update=Update(accumulate=3))  # type: ignore[arg-type]  # found by name
    two, _ = Gang(spread, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


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
