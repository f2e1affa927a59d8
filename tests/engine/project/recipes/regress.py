"""Linear regression on normal inputs, from where the noise scale is known: see test_noise.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from turnaround.engine import Endless, Mean, Recipe

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Config:
    width: int = 50
    noise: float = 1.0  # of the targets; the weights are off by a vector of length 1


class Regress(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Any:
        drawn = Endless(self.example)
        return drawn if split == "train" else drawn[:8]

    def example(self, number: int) -> Batch:
        rng = torch.Generator().manual_seed(number)
        inputs = torch.randn(self.config.width, generator=rng)
        return inputs, self.config.noise * torch.randn(1, generator=rng)  # the true weights are 0

    def model(self) -> nn.Module:
        model = nn.Linear(self.config.width, 1, bias=False)
        nn.init.constant_(model.weight, 1 / math.sqrt(self.config.width))
        return model

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, output: Tensor, batch: Batch) -> Mean:
        return Mean.of((output - batch[1]).square().sum() / 2, len(output))
