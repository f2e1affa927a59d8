"""A recipe for tests: parameters that do not lie in memory row by row."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe

Batch = tuple[Tensor, Tensor]  # images (batch, 2, 3, 3), classes (batch)


class Turned(Recipe[Batch]):
    def data(self, split: str) -> list[Batch]:
        rng = torch.Generator().manual_seed(["train", "valid", "test"].index(split))
        images = torch.randn(60, 2, 3, 3, generator=rng)
        return list(zip(images, images.mean((2, 3)).argmax(1), strict=True))

    def model(self) -> nn.Module:
        images, last = nn.Conv2d(2, 3, 2), nn.Linear(12, 2)
        images.weight.data = images.weight.data.contiguous(memory_format=torch.channels_last)
        last.weight.data = last.weight.data.T.contiguous().T
        return nn.Sequential(images, nn.Flatten(), last)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0].to(torch.get_default_dtype()),)

    def loss(self, output: Tensor, batch: Batch) -> Mean:
        return Mean.of(cross_entropy(output, batch[1], reduction="sum"), len(output))
