"""A plain stack of layers on random numbers: as long a step as is asked for, and little around it.

turnaround run recipe=mlp recipe.width=256 recipe.layers=4 data.batch=64
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from turnaround.engine import Mean, Recipe

Example = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Config:
    width: int = 128
    layers: int = 3
    examples: int = 4096


class Mlp(Recipe[Example]):
    config: Config

    def data(self, split: str) -> list[Example]:
        drawn = torch.Generator().manual_seed(len(split))
        values = torch.randn(self.config.examples, self.config.width, generator=drawn)
        return list(zip(values, values.roll(1, dims=1), strict=True))

    def model(self) -> nn.Module:
        width = self.config.width
        hidden = [nn.Linear(width, width) for _ in range(self.config.layers)]
        pairs = [layer for linear in hidden for layer in (linear, nn.ReLU())]
        return nn.Sequential(*pairs, nn.Linear(width, width))

    def inputs(self, batch: Example) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, output: Tensor, batch: Example) -> Mean:
        return Mean.of(mse_loss(output, batch[1], reduction="sum"), batch[1].numel())
