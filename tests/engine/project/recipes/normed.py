"""A recipe for tests: batch normalisation, which mixes the examples of a micro-batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from turnaround.engine import Endless, Mean, Recipe


class Normed(Recipe[Tensor]):
    def data(self, split: str) -> Any:
        drawn = Endless(lambda number: torch.full((4,), float(number % 7)))
        return drawn if split == "train" else drawn[:8]

    def model(self) -> nn.Module:
        return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch,)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        return Mean.of((output - batch[:, :1]).square().sum(), len(output))
