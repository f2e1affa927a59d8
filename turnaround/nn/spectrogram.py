"""Sound as pictures: how loud it is in each band of frequency, a hundred times a second.

    hear = Spectrogram(rate=8000, bands=32)
    hear(sound)                # (batch, samples) → (batch, frames, bands)
    heard(samples, 8000)       # how many frames that many samples make

Computed with the model, on its device; there is nothing to learn in it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

HOP, WINDOW = 0.010, 0.032  # seconds from frame to frame, and of each
QUIET = 1e-3  # of power; what is less cannot be told from silence


def sizes(rate: int) -> tuple[int, int]:
    """Samples from frame to frame, and of each."""
    return round(rate * HOP), round(rate * WINDOW)


def heard(samples: int, rate: int) -> int:
    """How many frames that many samples make; one at least."""
    hop, size = sizes(rate)
    return 1 + max(0, samples - size) // hop


class Spectrogram(nn.Module):
    """Logarithms of the power in bands of the mel scale, about between -2 and 2."""

    window: Tensor  # (size,)
    triangles: Tensor  # (size / 2 + 1, bands)

    def __init__(self, rate: int, bands: int) -> None:
        super().__init__()
        self.hop, self.size = sizes(rate)
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)
        self.register_buffer("triangles", triangles(rate, self.size, bands), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        """A frame is of its own samples alone, so padding comes in later frames only."""
        sound = pad(sound, (0, max(0, self.size - sound.shape[1])))
        with torch.autocast(sound.device.type, enabled=False):  # there is no transform in bf16
            waves = torch.stft(
                sound, self.size, self.hop, window=self.window, center=False, return_complex=True
            )
            power = torch.view_as_real(waves).square().sum(3).transpose(1, 2) @ self.triangles
            logarithms: Tensor = (power + QUIET).log() / 4
        return logarithms


def triangles(rate: int, size: int, bands: int) -> Tensor:
    """What each frequency of a window of `size` counts in each band: (size / 2 + 1, bands).

    A band rises from the middle of the one before to its own and falls to that of the next; the
    middles are equally far apart in mel, 2595 log₁₀(1 + Hz / 700).
    """
    top = 2595 * torch.tensor(1 + rate / 1400).log10().item()
    middles = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    before, middle, after = middles[:-2], middles[1:-1], middles[2:]
    frequencies = torch.linspace(0, rate / 2, size // 2 + 1).unsqueeze(1)
    rising = (frequencies - before) / (middle - before)
    falling = (after - frequencies) / (after - middle)
    return torch.minimum(rising, falling).clamp(min=0)
