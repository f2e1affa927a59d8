from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import Parameter

from turnaround.engine.metrics import Mean
from turnaround.engine.optim import Scale, bare, make, rate
from turnaround.spec import Optim

NAMES = ["sgd", "momentum", "adam", "adamw", "adagrad"]  # lbfgs: test_search.py


def rates(*shares: float, **spec: Any) -> list[float]:
    """Learning rates far after any warm-up."""
    return [rate(Optim(lr=1.0, **spec), 10_000, share) for share in shares]


def descent(
    gradient: list[float], count: float, clip: float | None, divided: bool
) -> tuple[float, list[float]]:
    """The norm, and one step of plain descent from zero: the gradients that were used."""
    parameters = [Parameter(torch.zeros(())) for _ in gradient]
    for parameter, value in zip(parameters, gradient, strict=True):
        parameter.grad = torch.tensor(value / count if divided else value)
    optimizer = make(Optim("sgd", lr=1.0), parameters)
    scale = Scale(optimizer, clip, divided=divided)
    scale.begin(Mean(torch.tensor([1.0, count], dtype=torch.float64)))
    norm = scale.norm()
    scale()
    bare(optimizer)()
    return norm.item(), [-parameter.item() for parameter in parameters]


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_goes_downhill(name: Any) -> None:
    weight = Parameter(torch.tensor([1.0, -1.0]))
    optimizer = make(Optim(name, lr=0.05), [weight])
    for _ in range(20):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.abs().max() < 0.9


def test_frozen_parameters_are_left_alone() -> None:
    model = nn.Linear(2, 2)
    model.weight.requires_grad_(False)
    (group,) = make(Optim(), model.parameters()).param_groups
    assert group["params"] == [model.bias]


def test_constant_stays() -> None:
    assert rates(0.0, 0.5, 1.0) == [1.0, 1.0, 1.0]


def test_linear_and_cosine_end_at_their_floor() -> None:
    assert rates(0.0, 0.5, 1.0, 1.2, schedule="linear", floor=0.2) == pytest.approx(
        [1.0, 0.6, 0.2, 0.2]
    )
    assert rates(0.0, 0.5, 1.0, schedule="cosine", floor=0.2) == pytest.approx([1.0, 0.6, 0.2])


def test_halving_is_that_of_2014() -> None:
    """Five epochs of 7.5 at full rate, then halved every half epoch."""
    spec = {"schedule": "halving", "halve_after": 5 / 7.5, "halve_every": 0.5 / 7.5}
    epochs = [epoch / 7.5 for epoch in (0, 4.9, 5.1, 5.6, 6.1, 6.6, 7.1)]
    assert rates(*epochs, **spec) == [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]


@pytest.mark.parametrize(
    ("decay", "half"), [("linear", 0.5), ("cosine", 0.5), ("sqrt", 1 - math.sqrt(0.5))]
)
def test_warm_up_stable_decay_falls_late(decay: str, half: float) -> None:
    found = rates(0.0, 0.79, 0.8, 0.9, 1.0, schedule="wsd", decay=decay, floor=0.1)
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.1 + 0.9 * half, 0.1])


def test_warm_up_rises_by_the_step_and_inverse_sqrt_falls_from_its_end() -> None:
    spec = Optim(lr=1.0, schedule="inverse_sqrt", warmup=4)
    found = [rate(spec, step, 0.0) for step in (0, 1, 2, 3, 15)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, math.sqrt(4 / 16)])


@pytest.mark.parametrize("divided", [False, True])
def test_summed_gradients_become_those_of_the_mean(divided: bool) -> None:
    assert descent([6.0, 8.0], 2.0, None, divided) == (5.0, [3.0, 4.0])


@pytest.mark.parametrize("divided", [False, True])
def test_clipping_bounds_the_norm_of_the_mean(divided: bool) -> None:
    norm, used = descent([6.0, 8.0], 2.0, 1.0, divided)
    assert norm == 5.0
    assert used == pytest.approx([0.6, 0.8])
    _, used = descent([0.6, 0.8], 1.0, 2.0, divided)
    assert used == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("divided", [True, False])
@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("name", NAMES)
def test_a_scale_that_is_handed_to_the_optimizer_does_what_a_pass_of_its_own_does(
    name: Any, clip: float | None, divided: bool, dtype: torch.dtype
) -> None:
    def stepped(handing: bool) -> list[torch.Tensor]:
        parameters = [Parameter(torch.ones(3, dtype=dtype)), Parameter(torch.ones(2, dtype=dtype))]
        optimizer = make(Optim(name, lr=0.1), parameters)
        scale = Scale(optimizer, clip, divided=divided)
        for step in range(1, 4):
            for parameter in parameters:
                parameter.grad = torch.arange(1, len(parameter) + 1, dtype=dtype) * step
            scale.begin(Mean(torch.tensor([1.0, 7.0], dtype=torch.float64)))
            (scale.hand if handing else scale)()
            bare(optimizer)()
        return [*parameters, *(p.grad for p in parameters if p.grad is not None)]

    tolerance = 1e-6 if dtype is torch.float32 else 1e-14
    for one, other in zip(stepped(True), stepped(False), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=0)
