"""A recipe for tests: its memory goes with the batch, and nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from turnaround.engine import Endless, Mean, Recipe


@dataclass(frozen=True)
class Config:
    each: int = 2**20  # numbers of four bytes that an example takes
    fails_at: int = 2**30  # examples of a micro-batch


class Hungry(Recipe[Tensor]):
    config: Config

    def data(self, split: str) -> Any:
        drawn = Endless(lambda number: torch.ones(1))
        return drawn if split == "train" else drawn[:8]

    def model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        if len(batch) >= self.config.fails_at:
            raise ValueError("too many for me")
        torch.empty(len(batch), self.config.each)  # asked for, and given back unused
        return (batch,)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        return Mean.of((output - batch).square().sum(), len(output))
