"""Layers over sequences of frames of different lengths, in which no example depends on another.

    convolution = Convolution(1, 16, bands=32, stride=2, norm="layer", ahead=True)
    seen, frames = convolution(seen, frames)     # (batch, channels, frames, bands), how many count
    states = Recurrent(256, 64, norm="layer", both=True)(seen.transpose(1, 2).flatten(2), frames)
    states = RowConvolution(64, ahead=10)(states)

Deep Speech 2 (Amodei et al., 2015) normalises over the frames of all examples of a batch. Then the
batches of two devices would have to share statistics in every layer, and accumulation would change
them. Both norms here are of one example alone, so the answer to it is the same in any batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import hardtanh, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Kind = Literal["layer", "sequence"]
CLIP = 20.0  # of the rectified; the paper's
SPAN, BREADTH = 11, 5  # frames and bands that a convolution looks at


def present(frames: Tensor, longest: int) -> Tensor:
    """True where there is a frame and no padding: (batch, longest, 1)."""
    return (torch.arange(longest, device=frames.device) < frames.unsqueeze(1)).unsqueeze(2)


class FrameNorm(nn.LayerNorm):
    """Each frame with mean 0 and variance 1 over its own features: it needs none that follows."""

    def forward(self, x: Tensor, there: Tensor) -> Tensor:  # type: ignore[override]  # as the other
        """(batch, frames, features), both ways."""
        return super().forward(x)


class SequenceNorm(nn.Module):
    """Each feature with mean 0 and variance 1 over the frames of its own sequence."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """(batch, frames, features), both ways; `there` is (batch, frames, 1)."""
        count = there.sum(1, keepdim=True)
        x = x - (x * there).sum(1, keepdim=True) / count
        variance = (x.square() * there).sum(1, keepdim=True) / count
        return x * (variance + 1e-5).rsqrt() * self.weight + self.bias


def norm(kind: Kind, features: int) -> nn.Module:
    """A norm by its name."""
    return FrameNorm(features) if kind == "layer" else SequenceNorm(features)


class Convolution(nn.Module):
    """Filters over time and frequency, their norm, and a clipped rectifier; half as many bands.

    Without `ahead` a frame is made of what came before it.
    """

    def __init__(
        self, sizes: tuple[int, int], bands: int, stride: int, kind: Kind, ahead: bool
    ) -> None:
        super().__init__()
        self.stride, self.bands = stride, (bands + 1) // 2
        after = SPAN // 2 if ahead else 0
        self.edges = (BREADTH // 2, BREADTH // 2, SPAN - 1 - after, after)
        self.filters = nn.Conv2d(*sizes, (SPAN, BREADTH), (stride, 2))
        self.norm = norm(kind, self.bands * sizes[1])

    def forward(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, frames, bands) and how many frames count, both ways."""
        x = self.filters(pad(x, self.edges))
        frames = (frames + self.stride - 1) // self.stride
        there = present(frames, x.shape[2])
        x = self.norm(x.transpose(1, 2).flatten(2), there)
        x = hardtanh(x, 0.0, CLIP) * there  # padding stays 0, as it is beyond the edges
        return x.view(*x.shape[:2], -1, self.bands).transpose(1, 2), frames


class Recurrent(nn.Module):
    """A GRU over normalised input; of two directions the states are added.

    The paper normalises W x of its recurrent units and not U h. A GRU has three of each inside, so
    here it is x.
    """

    def __init__(self, features: int, width: int, kind: Kind, both: bool) -> None:
        super().__init__()
        self.norm = norm(kind, features)
        self.gru = nn.GRU(features, width, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(batch, frames, features) → (batch, frames, width), 0 where there is padding."""
        x = self.norm(x, present(frames, x.shape[1]))
        packed = pack_padded_sequence(x, frames.cpu(), True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], True, total_length=x.shape[1])
        added: Tensor = states.view(*states.shape[:2], -1, self.gru.hidden_size).sum(2)
        return added


class RowConvolution(nn.Module):
    """Each feature mixed with its own next `ahead` frames, for those that stream (section 3.7)."""

    def __init__(self, width: int, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.mix = nn.Conv1d(width, width, ahead + 1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width), both ways."""
        mixed: Tensor = self.mix(pad(x.transpose(1, 2), (0, self.ahead)))
        return mixed.transpose(1, 2)
