"""Name each digit's successor on devices that are emulated: computing is sleeping, by the example.

turnaround run recipe=paced budget.steps=100 recipe.pace=0.01
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe

LAYERS = 4  # that sleep: between two of them a late backup worker looks whether it is too late
LENGTH = 4


@dataclass(frozen=True)
class Config:
    pace: float = 0.0  # seconds of training on one example
    slow: int | None = None  # a rank for which it is ten times as long
    width: int = 16


class Sleep(nn.Module):
    """A layer's share of it; evaluations are free."""

    def __init__(self, pace: float, slow: int | None) -> None:
        super().__init__()
        self.pace = pace / LAYERS
        self.slow = slow

    def forward(self, x: Tensor) -> Tensor:
        """As it was, later."""
        if self.training and self.pace:
            mine = dist.get_rank() if dist.is_initialized() else 0
            time.sleep(self.pace * len(x) * (10 if mine == self.slow else 1))
        return x


class Paced(Recipe[Tensor]):
    config: Config

    def data(self, split: str) -> Tensor:
        seed = ["train", "valid", "test"].index(split)
        rng = torch.Generator().manual_seed(seed)
        count = 65536 if split == "train" else 128
        return torch.randint(0, 10, (count, LENGTH), generator=rng)

    def model(self) -> nn.Module:
        width = self.config.width
        naps = [Sleep(self.config.pace, self.config.slow) for _ in range(LAYERS)]
        hidden = (nn.Linear(width, width), nn.Tanh())
        return nn.Sequential(nn.Embedding(10, width), *naps, *hidden, nn.Linear(width, 10))

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch,)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        nll = cross_entropy(output.mT, (batch + 1) % 10, reduction="sum")
        return Mean.of(nll, batch.numel())
