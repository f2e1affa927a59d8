"""Generated speech: symbols that are two tones each, in noise.

    said = draw((0, 7), (3, 8))    # number 7 of the train split: 3 to 8 symbols
    said.text                      # abgeged
    said.sound()                   # float32, 8,000 samples a second, the same each time

A symbol is a vowel of sorts, two formants out of four and two, for 60 to 140 ms with a soft start
and end. Each utterance has a speaker, whose formants lie up to 5 % higher or lower, and white noise
that is louder than the speaker. A symbol may follow itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # samples a second
FORMANTS = {  # Hz; those that lie next to each other differ by 12 to 28 %
    "a": (350, 1500),
    "b": (450, 1500),
    "c": (570, 1500),
    "d": (700, 1500),
    "e": (350, 1700),
    "f": (450, 1700),
    "g": (570, 1700),
    "h": (700, 1700),
}
SHORTEST, LONGEST = 480, 1120  # samples of a symbol
SPLITS = ("train", "valid", "test")
NOISE = 0.3  # standard deviation; a tone's is 0.14
EDGE = 80  # samples a symbol takes to come, and to go


@dataclass(frozen=True)
class Said:
    """An utterance: what, how long each symbol, and from which random numbers its sound follows."""

    text: str
    durations: tuple[int, ...]  # samples
    key: tuple[int, int]

    @property
    def samples(self) -> int:
        """Its length."""
        return sum(self.durations)

    def sound(self) -> NDArray[np.float32]:
        """What is heard: (samples,)."""
        rng = np.random.default_rng([*self.key, 1])
        voice = rng.uniform(0.95, 1.05)
        spoken = zip(self.text, self.durations, strict=True)
        tones = [_tone(symbol, samples, voice, rng) for symbol, samples in spoken]
        noise = NOISE * rng.standard_normal(self.samples)
        return (np.concatenate(tones) + noise).astype(np.float32)


def draw(key: tuple[int, int], lengths: tuple[int, int]) -> Said:
    """The utterance of that split and number, of so many symbols at least and at most."""
    rng = np.random.default_rng([*key, 0])
    count = int(rng.integers(lengths[0], lengths[1], endpoint=True))
    text = "".join(rng.choice(list(FORMANTS), count))
    durations = rng.integers(SHORTEST, LONGEST, count, endpoint=True)
    return Said(text, tuple(durations.tolist()), key)


def _tone(symbol: str, samples: int, voice: float, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(samples) / RATE
    edge = np.minimum(np.arange(samples), np.arange(samples)[::-1]) / EDGE
    waves = [
        np.sin(2 * np.pi * voice * formant * time + rng.uniform(0, 2 * np.pi))
        for formant in FORMANTS[symbol]
    ]
    tone: NDArray[np.float64] = 0.2 * np.minimum(edge, 1) * (waves[0] + waves[1])
    return tone
