"""A recipe for tests: multinomial regression with a penalty, a convex problem."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe

Batch = tuple[Tensor, Tensor]  # features (batch, 6), classes (batch)


@dataclass(frozen=True)
class Config:
    examples: int = 90
    penalty: float = 0.01


class Bowl(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> list[Batch]:
        rng = torch.Generator().manual_seed(["train", "valid", "test"].index(split))
        x = torch.randn(self.config.examples, 6, generator=rng, dtype=torch.float64)
        y = (x[:, :3] + torch.randn(len(x), 3, generator=rng, dtype=torch.float64)).argmax(1)
        return list(zip(x, y, strict=True))

    def model(self) -> nn.Module:
        return Penalized(self.config.penalty)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, output: tuple[Tensor, Tensor], batch: Batch) -> Mean:
        logits, penalty = output
        nll = cross_entropy(logits, batch[1], reduction="sum")
        return Mean.of(nll + len(logits) * penalty, len(logits))


class Penalized(nn.Module):
    def __init__(self, penalty: float) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.penalty = penalty

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, 3), and the penalty of the weights."""
        squares = torch.stack([p.square().sum() for p in self.parameters()]).sum()
        return self.linear(x), self.penalty * squares
