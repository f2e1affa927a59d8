"""Handwritten digits of 8×8 pixels, told by a small perceptron: what scripts/bench/search tunes.

turnaround run recipe=digits recipe.file=/tmp/digits.npz data.batch=16 optim=momentum optim.lr=0.1

The same sizes as scripts/bench/peers/digits.py, which writes the file.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe, Tally

WIDTH = 32
SPLITS = ("train", "valid", "test")
Batch = tuple[Tensor, Tensor]  # pixels (batch, 64), digits (batch)


@dataclass(frozen=True)
class Config:
    file: str | None = None  # none: noise, to see that it trains
    turn: int = 0  # of a benchmark, so that nothing was answered before


class Digits(Recipe[Batch]):
    config: Config
    fusible = True

    def data(self, split: str) -> list[Batch]:
        values, kinds = self.found[split]
        return list(zip(values, kinds, strict=True))

    @functools.cached_property
    def found(self) -> dict[str, Batch]:
        if self.config.file is None:
            drawn = torch.Generator().manual_seed(0)
            kinds = torch.randint(10, (160,), generator=drawn)
            return dict.fromkeys(SPLITS, (torch.rand(160, 64, generator=drawn), kinds))
        with np.load(self.config.file) as file:
            return {s: (torch.tensor(file[s]), torch.tensor(file[f"{s}_kinds"])) for s in SPLITS}

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        return Mean.of(cross_entropy(logits, batch[1], reduction="sum"), len(logits))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        return {"accuracy": Mean.of((logits.argmax(1) == batch[1]).sum(), len(logits))}
