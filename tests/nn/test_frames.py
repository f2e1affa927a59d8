from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from turnaround.nn.frames import Convolution, Kind, Recurrent, RowConvolution, norm, present
from turnaround.nn.spectrogram import Spectrogram, heard, triangles

KINDS: list[Any] = ["layer", "sequence"]


def tail(seen: Tensor, filling: float = 0.0) -> Tensor:
    """The same with seven more frames of padding."""
    return nn.functional.pad(seen, (0, 0, 0, 7), value=filling)


@pytest.mark.parametrize("kind", KINDS)
def test_a_norm_does_not_see_padding_or_neighbours(kind: Kind) -> None:
    layer, seen = norm(kind, 4).double(), torch.randn(3, 10, 4, dtype=torch.float64)
    frames = torch.tensor([10, 6, 1])
    whole = layer(seen, present(frames, 10))
    for row, count in zip(range(3), frames.tolist(), strict=True):
        alone = layer(seen[row : row + 1, :count], present(frames[row : row + 1], count))
        torch.testing.assert_close(whole[row, :count], alone[0])


def test_over_a_sequence_every_feature_has_mean_0_and_variance_1() -> None:
    seen, frames = 5 + 3 * torch.randn(2, 50, 4), torch.tensor([50, 30])
    normed = norm("sequence", 4)(seen, present(frames, 50))
    for row, count in zip(normed, frames.tolist(), strict=True):
        torch.testing.assert_close(row[:count].mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(row[:count].var(0, correction=0), torch.ones(4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_convolution_does_not_see_padding(kind: Kind, stride: int) -> None:
    layer = Convolution((1, 2), 7, stride, kind, ahead=True).double()
    seen = torch.randn(1, 1, 20, 7, dtype=torch.float64)
    alone, frames = layer(seen, torch.tensor([20]))
    padded, same = layer(tail(seen), torch.tensor([20]))
    assert frames.item() == same.item() == alone.shape[2] == -(-20 // stride)
    torch.testing.assert_close(padded[:, :, : alone.shape[2]], alone)
    assert not padded[:, :, alone.shape[2] :].any()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recurrent_layer_does_not_see_padding(kind: Kind, both: bool) -> None:
    layer = Recurrent(5, 3, kind, both).double()
    seen, frames = torch.randn(1, 8, 5, dtype=torch.float64), torch.tensor([8])
    padded = layer(tail(seen, 9.0), frames)
    torch.testing.assert_close(padded[:, :8], layer(seen, frames))
    assert not padded[:, 8:].any()


def test_a_row_convolution_mixes_each_feature_with_its_own_future() -> None:
    layer = RowConvolution(2, ahead=2)
    seen = torch.randn(1, 6, 2)
    weight, bias = layer.mix.weight[:, 0], layer.mix.bias  # (features, 3), (features,)
    assert bias is not None
    mixed = layer(seen)
    for frame in range(4):
        wanted = (weight.T * seen[0, frame : frame + 3]).sum(0) + bias
        torch.testing.assert_close(mixed[0, frame], wanted)
    torch.testing.assert_close(mixed[0, 5], weight[:, 0] * seen[0, 5] + bias)


def test_a_tone_is_heard_in_its_band() -> None:
    time = torch.arange(4000) / 8000
    hear = Spectrogram(8000, 32)
    loud = [
        hear(torch.sin(2 * torch.pi * pitch * time).unsqueeze(0))[0].mean(0).argmax().item()
        for pitch in (300, 1000, 3000)
    ]
    mel = [2595 * torch.tensor(1 + pitch / 700).log10().item() for pitch in (300, 1000, 3000)]
    assert loud == [round(height / (2146 / 33)) - 1 for height in mel]


@pytest.mark.parametrize("samples", [1, 255, 256, 335, 336, 4000])
def test_frames_are_made_of_their_own_samples(samples: int) -> None:
    hear, sound = Spectrogram(8000, 16), torch.randn(1, samples)
    count = heard(samples, 8000)
    alone = hear(sound)
    padded = hear(nn.functional.pad(sound, (0, 500)))
    assert alone.shape == (1, count, 16)
    torch.testing.assert_close(padded[:, :count], alone)


def test_bands_cover_all_frequencies_between_the_first_and_the_last() -> None:
    shares = triangles(8000, 256, 20)
    middle = shares[5:-20].sum(1)  # neighbours' triangles add up to 1
    torch.testing.assert_close(middle, torch.ones_like(middle))
