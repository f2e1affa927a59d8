"""Two small models on made-up examples, that may be fused: a perceptron 16-32-2, a convolution.

turnaround sweep recipe=tiny data.batch=16 budget.steps=1000 optim.lr=1e-3,3e-3 sweep.fuse=true
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe, Tally

Batch = tuple[Tensor, Tensor]  # inputs (batch, …), classes (batch)


@dataclass(frozen=True)
class Config:
    model: Literal["mlp", "conv"] = "mlp"
    examples: int = 2048


class Tiny(Recipe[Batch]):
    config: Config
    fusible = True

    def data(self, split: str) -> list[Batch]:
        drawn = torch.Generator().manual_seed(len(split))
        count = self.config.examples if split == "train" else 256
        shape, classes = ((16,), 2) if self.config.model == "mlp" else ((1, 28, 28), 10)
        kind = torch.randint(classes, (count,), generator=drawn)
        noise = torch.randn(count, *shape, generator=drawn)
        return list(zip(noise + kind.view(-1, *[1] * len(shape)) / classes, kind, strict=True))

    def model(self) -> nn.Module:
        if self.config.model == "mlp":
            return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(16 * 49, 10)),
        )

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        return Mean.of(cross_entropy(logits, batch[1], reduction="sum"), len(logits))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        return {"accuracy": Mean.of((logits.argmax(1) == batch[1]).sum(), len(logits))}
