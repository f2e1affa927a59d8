"""MNIST squeezed into a few numbers and drawn again: convolutions down, the same up.

turnaround run recipe=autoencoder data.path=mnist optim=adam
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from turnaround.corpora import images
from turnaround.engine import Mean, Recipe

SIDE = 28


@dataclass(frozen=True)
class Config:
    code: int = 32  # numbers that an image becomes
    width: int = 16


class Autoencoder(Recipe[Tensor]):
    config: Config

    def data(self, split: str) -> Sequence[Tensor]:
        found = images.split(self.source, split)
        return list(torch.from_numpy(np.stack([images.pixels(one.image, SIDE) for one in found])))

    def model(self) -> nn.Module:
        width, pooled = self.config.width, SIDE // 4
        flat = 2 * width * pooled**2
        return nn.Sequential(
            *(nn.Conv2d(1, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(flat, self.config.code)),
            *(nn.Linear(self.config.code, flat), nn.ReLU()),
            nn.Unflatten(1, (2 * width, pooled, pooled)),
            *(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1), nn.Sigmoid()),
        )

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch / 255,)

    def loss(self, drawn: Tensor, batch: Tensor) -> Mean:
        """Squared differences, over the pixels of an image."""
        return Mean.of(mse_loss(drawn, batch / 255, reduction="sum"), len(batch))
