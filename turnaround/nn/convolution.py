"""Encoders of images: convolutions that make a map of features, whatever the image's size.

    encoder = Encoder("inception", channels=3, width=16, stages=3, depth=1)
    encoder(images)          # (batch, channels, height, width) → (batch, encoder.features, …, …)

Each stage but the first halves height and width and doubles the features. Nothing here looks at
more than one image (a normalisation by the batch would make two devices differ from one), so
features are normalised in groups (Wu & He, 2018), which are not small: one feature alone would
lose, with its scale, what colour an image of few things has.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["inception", "plain"]
UNIT = 8  # widths are multiples of it: an Inception block has features in eighths


class Encoder(nn.Sequential):
    """`stages` stages of `depth` blocks of a kind; the first has `width` features, the last most.

    Plain blocks are 3×3 convolutions, as in VGG (Simonyan & Zisserman, 2014).
    """

    def __init__(
        self, kind: Kind, channels: int, width: int, stages: int = 3, depth: int = 2
    ) -> None:
        block = Plain if kind == "plain" else Inception
        parts: list[nn.Module] = []
        before = channels
        if kind == "inception":  # there is nothing to reduce in one to three channels
            parts, before = [Plain(channels, width)], width
        for stage in range(stages):
            self.features = width * 2**stage
            if stage:
                parts.append(nn.MaxPool2d(2, ceil_mode=True))
            for _ in range(depth):
                parts.append(block(before, self.features))
                before = self.features
        super().__init__(*parts)


class Plain(nn.Sequential):
    """A 3×3 convolution."""

    def __init__(self, before: int, features: int) -> None:
        convolution = nn.Conv2d(before, features, 3, padding=1, bias=False)
        super().__init__(convolution, _norm(features), nn.ReLU())


class Inception(nn.Module):
    """Four looks at the same place, of different sizes, side by side (Szegedy et al., 2014).

    1×1, 3×3 and 5×5 convolutions and a pooled 3×3, in the shares of the paper's block 3a: 2, 4, 1
    and 1 eighths of the features. The wider ones see fewer features: 1×1 convolutions reduce them.
    """

    def __init__(self, before: int, features: int) -> None:
        super().__init__()
        eighth = features // 8
        self.one = nn.Conv2d(before, 2 * eighth, 1, bias=False)
        self.three = _reduced(before, 3 * eighth, 4 * eighth, 3)
        self.five = _reduced(before, eighth, eighth, 5)
        pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.pooled = nn.Sequential(pool, nn.Conv2d(before, eighth, 1, bias=False))
        self.norm = _norm(features)

    def forward(self, seen: Tensor) -> Tensor:
        seen = seen.contiguous(memory_format=torch.channels_last)  # half the time on a CPU
        looks = self.one(seen), self.three(seen), self.five(seen), self.pooled(seen)
        return torch.relu(self.norm(torch.cat(looks, 1)))


def _norm(features: int) -> nn.GroupNorm:
    """Groups of 16 or more, four at most."""
    return nn.GroupNorm(math.gcd(max(1, features // 16), 4), features)


def _reduced(before: int, between: int, features: int, size: int) -> nn.Sequential:
    """A convolution of few features of all that there are."""
    reduce = nn.Conv2d(before, between, 1)
    wide = nn.Conv2d(between, features, size, padding=size // 2, bias=False)
    return nn.Sequential(reduce, nn.ReLU(), wide)
