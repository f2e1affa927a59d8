"""A recipe for tests that may be fused: which blob a point is from, by a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe, Tally


@dataclass(frozen=True)
class Config:
    width: int = 16
    examples: int = 96
    dropout: float = 0.0
    seeded: bool = False  # other examples for each seed
    norm: bool = False  # a norm over the batch, whose buffers change
    poison: bool = False  # a loss that is not finite once the parameters are large


class Point(NamedTuple):
    x: Tensor
    blob: Tensor


@dataclass(frozen=True)
class Batch:
    x: Tensor  # (batch, 4)
    blob: Tensor  # (batch)


class Blobs(Recipe[Batch]):
    config: Config
    fusible = True

    def data(self, split: str) -> list[Point]:
        kind = ["train", "valid", "test"].index(split)
        shift = int(torch.randint(1000, ())) if self.config.seeded else 0
        rng = torch.Generator().manual_seed(3 * shift + kind)
        blob = torch.randint(3, (self.config.examples if kind == 0 else 40,), generator=rng)
        x = torch.randn(len(blob), 4, generator=rng) + blob[:, None]
        return [Point(*pair) for pair in zip(x, blob, strict=True)]

    def collate(self, examples: list[Point]) -> Batch:
        return Batch(torch.stack([e.x for e in examples]), torch.stack([e.blob for e in examples]))

    def model(self) -> nn.Module:
        c = self.config
        norm = nn.BatchNorm1d(c.width) if c.norm else nn.LayerNorm(c.width)
        first = [nn.Linear(4, c.width), norm, nn.Tanh(), nn.Dropout(c.dropout)]
        return nn.Sequential(*first, nn.Linear(c.width, 3))

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch.x,)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        nll = cross_entropy(logits, batch.blob, reduction="sum")
        if self.config.poison:
            nll = nll + torch.where(logits.abs().amax() > 20, torch.nan, 0.0)
        return Mean.of(nll, len(batch.blob))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        return {"right": Mean.of((logits.argmax(1) == batch.blob).sum(), len(logits))}
