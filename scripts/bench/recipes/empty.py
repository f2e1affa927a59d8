"""A trial with nothing in it: one number, one step. What is left is what a trial costs by itself.

turnaround run recipe=empty budget.steps=1 evaluate.every=1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe


class Empty(Recipe[Tensor]):
    def data(self, split: str) -> list[Tensor]:
        return [torch.ones(1)]

    def model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch,)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        return Mean.of((output - batch).square().sum(), len(output))
