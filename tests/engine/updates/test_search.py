"""L-BFGS: to the bottom of a convex problem, alike on any number of devices, resumed exactly."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.engine.spread import saved
from tests.engine.trials import PROJECT, Gang, ddp, train, trial_plan
from turnaround.spec import Budget, Checkpoint, Data, Evaluate, Optim, Place, Plan, Recipe, Update

COUNT, PENALTY = 90, 0.01


def bowl(**changes: Any) -> Plan:
    """Every batch is the whole corpus."""
    plan = trial_plan(
        recipe=Recipe("bowl", {"examples": COUNT, "penalty": PENALTY}),
        place=Place(str(PROJECT), sys.executable, "recipes/bowl.py", "c0de", "da7a"),
        data=Data(batch=COUNT),
        optim=Optim("lbfgs", lr=1.0, inner=10),
        precision="fp64",
        budget=Budget(steps=6),
        evaluate=Evaluate(every=2),
        checkpoint=Checkpoint(every=2, keep=9),
    )
    return replace(plan, **changes)


def bottom() -> float:
    """The least that the loss can be, by Newton's method."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(COUNT, 6, generator=rng, dtype=torch.float64)
    y = (x[:, :3] + torch.randn(COUNT, 3, generator=rng, dtype=torch.float64)).argmax(1)
    with_bias = torch.cat((x, torch.ones(COUNT, 1).double()), 1)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return cross_entropy(with_bias @ flat.view(7, 3), y) + PENALTY * flat.square().sum()

    flat = torch.zeros(21, dtype=torch.float64)
    for _ in range(20):
        gradient = torch.autograd.functional.jacobian(loss, flat)
        flat = flat - torch.linalg.solve(torch.autograd.functional.hessian(loss, flat), gradient)
    return loss(flat).item()


@pytest.mark.parametrize("update", [Update(), Update(accumulate=4)])
def test_a_convex_problem_is_solved_to_the_bottom(update: Update, tmp_path: Path) -> None:
    told = train(bowl(update=update), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.curve()[6] == pytest.approx(bottom(), rel=1e-8)


def test_without_a_line_search_it_still_goes_down(tmp_path: Path) -> None:
    told = train(bowl(optim=Optim("lbfgs", lr=0.5, line_search="none")), tmp_path)
    assert told.curve()[6] == pytest.approx(bottom(), rel=1e-8)


def test_two_devices_draw_the_curve_of_one(tmp_path: Path) -> None:
    uneven = bowl(data=Data(batch=31), optim=Optim("lbfgs", lr=1.0, inner=5))
    one = train(uneven, tmp_path / "one")
    two, *_ = Gang(replace(uneven, layout=ddp()), tmp_path / "two").wait()
    assert two.code == 0, two.of("error")
    assert two.curve() == pytest.approx(one.curve(), rel=1e-9)
    assert two.one("summary")["values"] == pytest.approx(one.one("summary")["values"], rel=1e-9)


def test_half_and_half_again_is_the_whole(tmp_path: Path) -> None:
    plan = bowl(data=Data(batch=31), optim=Optim("lbfgs", lr=1.0, inner=3))
    whole = train(plan, tmp_path / "whole")
    train(replace(plan, budget=Budget(steps=4)), tmp_path / "parts")
    rest = train(plan, tmp_path / "parts", attempt=2)
    assert rest.curve() == {step: loss for step, loss in whole.curve().items() if step > 4}
    (one, _), (two, _) = saved(tmp_path / "whole", 6), saved(tmp_path / "parts", 6)
    assert one.keys() == two.keys()
    assert all(one[name].equal(two[name]) for name in one)


def test_a_batch_that_is_looked_at_again_drops_the_same(tmp_path: Path) -> None:
    """Else the line search would compare losses of different functions, and fail."""
    dropping = Recipe("digits", {"dropout": 0.3})
    plan = trial_plan(recipe=dropping, optim=Optim("lbfgs", lr=1.0, inner=4), precision="fp64")
    told = train(replace(plan, budget=Budget(steps=10), data=Data(batch=96)), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.curve()[10] < 0.8 * told.curve()[1]
