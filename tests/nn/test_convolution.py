from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from turnaround.nn.convolution import Encoder, Inception, Kind

KINDS = get_args(Kind)


def images(count: int = 3, side: int = 11, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, side, side, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [1, 8, 11])
def test_each_stage_halves_the_sides_and_doubles_the_features(kind: Kind, side: int) -> None:
    encoder = Encoder(kind, channels=3, width=8, stages=3).double()
    half = -(-side // 4)
    assert encoder(images(side=side)).shape == (3, encoder.features, half, half)
    assert encoder.features == 32


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_read_alike_whatever_is_read_beside_it(kind: Kind) -> None:
    torch.manual_seed(0)
    encoder = Encoder(kind, channels=3, width=8).double()  # training: there is no other mode
    alone = torch.cat([encoder(image[None]) for image in images()])
    torch.testing.assert_close(encoder(images()), alone)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_fully_connected(kind: Kind) -> None:
    encoder = Encoder(kind, channels=1, width=8)
    assert not any(isinstance(part, torch.nn.Linear) for part in encoder.modules())


def test_the_shares_of_an_inception_block_are_those_of_the_paper() -> None:
    block = Inception(192, 256)  # 3a: of width 256 these are 64, 96 → 128, 32 and 32
    shapes = {name: tuple(part.shape) for name, part in block.named_parameters() if part.dim() > 1}
    assert shapes["one.weight"] == (64, 192, 1, 1)
    assert shapes["three.0.weight"] == (96, 192, 1, 1)
    assert shapes["three.2.weight"] == (128, 96, 3, 3)
    assert shapes["five.2.weight"] == (32, 32, 5, 5)
    assert shapes["pooled.1.weight"] == (32, 192, 1, 1)
