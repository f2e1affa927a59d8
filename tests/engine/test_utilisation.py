from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe
from turnaround.engine.utilisation import flops, meter, peak, unknown
from turnaround.spec import Data


class Doubles(Recipe[Tensor]):
    """Two layers without a bias, whose products can be counted by hand."""

    looks = False  # at numbers, which the meta device has none of

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False))

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch,)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        if self.looks:
            assert output.sum().item() < math.inf
        return Mean.of(output.square().sum(), len(output))


def recipe() -> Doubles:
    return Doubles(None, Data(), Path())


EXAMPLES = [torch.ones(4) for _ in range(6)]


def test_a_products_forward_and_backward_are_counted() -> None:
    first, second = 2 * 4 * 8, 2 * 8 * 2
    forward = first + second
    backward = first + 2 * second  # the inputs of the first layer need no gradient
    assert flops(recipe(), EXAMPLES) == forward + backward


def test_what_cannot_be_counted_is_left_out() -> None:
    seeing = recipe()
    seeing.looks = True
    assert math.isnan(flops(seeing, EXAMPLES))


def test_the_share_of_a_peak_follows_from_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnaround.engine.utilisation.PEAKS", [("Abacus", {"fp32": 100.0})])
    counted: list[Any] = []

    def count() -> float:
        counted.append(1)
        return 5.0

    used = meter("My Abacus 3", "fp32", 2, count)
    assert math.isnan(used(math.nan))
    assert counted == []
    assert used(10.0) == 0.25  # 50 of 200 operations a second
    assert used(20.0) == 0.5
    assert counted == [1]
    assert meter("My Abacus 3", "bf16", 2, count) is unknown
    assert math.isnan(meter("Slide rule", "fp32", 2, count)(10.0))


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989e12),
        ("NVIDIA H100 PCIe", "bf16", 756e12),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16", None),
        ("NVIDIA H200", "fp32", 67e12),
        ("NVIDIA H200 NVL", "fp32", 60e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312e12),
        ("NVIDIA A10", "bf16", 125e12),
        ("NVIDIA A10G", "bf16", None),
        ("NVIDIA L40S", "fp32", 91.6e12),
        ("NVIDIA GeForce RTX 4090", "bf16", 165e12),
        ("NVIDIA GeForce RTX 4090 D", "bf16", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16", None),
        ("NVIDIA GeForce RTX 3090", "fp32", 35.6e12),
        ("NVIDIA GeForce RTX 3090 Ti", "fp32", None),
        ("Tesla T4", "bf16", None),
        ("NVIDIA H100 80GB HBM3", "fp64", None),
    ],
)
def test_peaks_go_by_the_devices_name(name: str, precision: str, expected: float | None) -> None:
    assert peak(name, precision) == expected
