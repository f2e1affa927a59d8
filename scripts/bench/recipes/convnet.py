"""The small net of McCandlish et al. (2018) on MNIST.

Two 5×5 convolutions of 32 and 64 features, pooled, and 1,024 fully connected ones with dropout 0.4.

turnaround run recipe=convnet data.path=mnist optim=sgd
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.corpora import images
from turnaround.engine import Mean, Recipe, Tally

Example = tuple[Tensor, int]
Batch = tuple[Tensor, Tensor]  # images (batch, 1, 28, 28) in bytes, digits (batch)
SIDE = 28


@dataclass(frozen=True)
class Config:
    dropout: float = 0.4


class Convnet(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Sequence[Example]:
        found = images.split(self.source, split)
        pixels = torch.from_numpy(np.stack([images.pixels(one.image, SIDE) for one in found]))
        return list(zip(pixels, [int(one.label) for one in found], strict=True))

    def collate(self, examples: list[Example]) -> Batch:
        pixels, digits = zip(*examples, strict=True)
        return torch.stack(pixels), torch.tensor(digits)

    def model(self) -> nn.Module:
        pooled = SIDE // 4
        return nn.Sequential(
            *(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64 * pooled**2, 1024), nn.ReLU()),
            *(nn.Dropout(self.config.dropout), nn.Linear(1024, 10)),
        )

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return ((batch[0] / 255).to(memory_format=torch.channels_last),)  # a third faster on a CPU

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        return Mean.of(cross_entropy(logits, batch[1], reduction="sum"), len(logits))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        return {"accuracy": Mean.of((logits.argmax(1) == batch[1]).sum(), len(logits))}
