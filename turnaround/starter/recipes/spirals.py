"""Two spirals, and a small network that tells them apart: 0.99 of unseen points in 1,000 steps."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe, Tally

Batch = tuple[Tensor, Tensor]  # points (batch, 2), and which spiral each is on (batch)


@dataclass(frozen=True)
class Config:
    width: int = 64  # of the hidden layers
    turns: float = 1.5  # of each spiral
    noise: float = 0.01
    examples: int = 4096


class Spirals(Recipe[Batch]):
    config: Config
    fusible = True  # sweep.fuse=true may train trials as one

    def data(self, split: str) -> list[Batch]:
        c = self.config
        rng = torch.Generator().manual_seed(["train", "valid", "test"].index(split))
        label = torch.randint(2, (c.examples,), generator=rng)
        radius = torch.rand(c.examples, generator=rng)
        angle = torch.pi * (2 * c.turns * radius + label)
        points = radius * torch.stack([angle.cos(), angle.sin()])
        points += c.noise * torch.randn(points.shape, generator=rng)
        return list(zip(points.T, label, strict=True))

    def model(self) -> nn.Module:
        width = self.config.width
        hidden = [nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        return nn.Sequential(*hidden, nn.Linear(width, 2))

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        nll = cross_entropy(logits, batch[1], reduction="sum")
        return Mean.of(nll, len(batch[1]))  # a sum and its count, never a mean

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        right = logits.argmax(1) == batch[1]
        return {"accuracy": Mean.of(right.sum(), len(right))}
