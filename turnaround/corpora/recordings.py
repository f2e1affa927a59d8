"""Recordings of speech and what is said in them: .wav files, with a table or named for it.

    split(Data(path="speech.tsv"), "train")     # a line: file TAB what is said in it
    split(Data(path="digits"), "test")          # a folder of 7_george_12.wav: said, by whom, take
    samples(Path("7_george_12.wav"), 8000)      # float32 between -1 and 1
    joined(found, (0, 7), (3, 8), 8000).sound()    # three to eight of them, one after another

A table is cut in splits by a hash of the files' names, a folder by the number of the take: 0 to 4
are the test, as the makers of the Free Spoken Digit Dataset have it, 5 to 9 are to validate on, the
others to train on, and with them those of a split that has a place of its own.
Files are 8 or 16 bit PCM of any rate; several channels become one.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora import pairs, splits
from turnaround.errors import DataError, near
from turnaround.spec import Data

NAME = re.compile(r"(?P<text>[^_]+)_(?P<speaker>.+)_(?P<take>\d+)\.wav", re.IGNORECASE)
WANTED = ("file.wav", "what is said")  # in each line of a table
TAKES = {"test": range(5), "valid": range(5, 10)}  # the others are to train on
KINDS = {1: ("<u1", 128), 2: ("<i2", 0)}  # bytes of a sample: type, and its silence


class Recording(NamedTuple):
    """A .wav file and what is said in it; `where` is for who has to mend them."""

    file: Path
    text: str
    where: str


@dataclass(frozen=True)
class Spoken:
    """Recordings one after another, before each a gap of so many samples.

    At a speed of 1.1 one is shorter by an eleventh and sounds like a smaller speaker.
    """

    parts: tuple[Recording, ...]
    gaps: tuple[int, ...]
    rate: int
    speeds: tuple[float, ...]

    @classmethod
    def alone(cls, part: Recording, rate: int) -> Spoken:
        """One as it is."""
        return cls((part,), (0,), rate, (1.0,))

    @property
    def text(self) -> str:
        """What is said."""
        return "".join(part.text for part in self.parts)

    @property
    def where(self) -> str:
        """The files."""
        return " + ".join(part.where for part in self.parts)

    @functools.cached_property
    def samples(self) -> int:
        """Its length; no more than the heads of the files are read for it."""
        lengths = [length(part.file, self.rate) for part in self.parts]
        return sum(self.gaps) + sum(map(_hurried, lengths, self.speeds))

    def sound(self) -> NDArray[np.float32]:
        """What is heard: (samples,)."""
        heard = []
        for part, gap, speed in zip(self.parts, self.gaps, self.speeds, strict=True):
            sound = samples(part.file, self.rate)
            places = speed * np.arange(_hurried(len(sound), speed))
            heard += [np.zeros(gap), np.interp(places, np.arange(len(sound)), sound)]
        return np.concatenate(heard).astype(np.float32)


def _hurried(samples: int, speed: float) -> int:
    """How many are left at that speed."""
    return int(samples / speed)


def joined(
    found: list[Recording],
    key: tuple[int, int],
    lengths: tuple[int, int],
    rate: int,
    speed: float = 0.0,
) -> Spoken:
    """Some recordings drawn at random, for the same key the same, up to 0.1 s between them.

    Each up to that share faster or slower.
    """
    rng = np.random.default_rng(key)
    count = int(rng.integers(lengths[0], lengths[1], endpoint=True))
    parts = tuple(found[i] for i in rng.integers(len(found), size=count))
    gaps = tuple(rng.integers(rate // 10, size=count).tolist())
    return Spoken(parts, gaps, rate, tuple(rng.uniform(1 - speed, 1 + speed, count).tolist()))


# ── which there are ──


def split(data: Data, name: str) -> list[Recording]:
    """The recordings of `train`, `valid` or `test`."""
    file, cut = splits.chosen(data, name)
    if file.is_dir():
        return _takes(file, name, cut)
    rows = [
        (line, pair)
        for line, pair in enumerate(pairs.table(file, WANTED), start=1)  # none is left out
    ]
    mine = splits.kept(rows, [pair.source for _, pair in rows], name, cut)
    return [_listed(file, line, *pair) for line, pair in mine]


def _listed(table: Path, line: int, name: str, text: str) -> Recording:
    file = table.parent / Path(name).expanduser()
    # Of os: pathlib's raises an OSError for what is too long to be a name, as a text may be.
    if not os.path.isfile(file):
        there = file.parent.glob("*.wav") if os.path.isdir(file.parent) else ()
        names = [entry.name for entry in there]
        hint = near(file.name, names) if names else f"names are looked for from {table.parent}"
        raise DataError(f"{table}, line {line}: {name} is not there", hint)
    return Recording(file, text, f"{table}, line {line}: {name}")


def _takes(folder: Path, split: str, cut: tuple[str, ...]) -> list[Recording]:
    """The files of a folder that belong to a split by their names; all if none is cut from it."""
    found = []
    for file in sorted(folder.glob("*.[wW][aA][vV]")):
        named = NAME.fullmatch(file.name)
        if named is None:
            hint = "name it like 7_george_12.wav, or give a table: data.path=speech.tsv"
            raise DataError(f"{file}: the name does not tell what is said", hint)
        take = int(named["take"])
        part = next((part for part in cut if take in TAKES[part]), "train")
        if part == split or not cut:
            found.append(Recording(file, named["text"], str(file)))
    if not found:
        hint = "takes 0 to 4 are the test, 5 to 9 the valid split; or give a table"
        raise DataError(f"{folder} has no .wav file for the {split} split", hint)
    return found


# ── what is in them ──


def length(file: Path, rate: int) -> int:
    """How many samples it has at that rate."""
    with _opened(file) as sound:
        return math.ceil(sound.getnframes() * rate / sound.getframerate())


def samples(file: Path, rate: int) -> NDArray[np.float32]:
    """Its sound at that rate, between -1 and 1: (samples,)."""
    with _opened(file) as sound:
        width, channels, own = sound.getsampwidth(), sound.getnchannels(), sound.getframerate()
        content, promised = sound.readframes(-1), sound.getnframes() * channels * width
    if len(content) != promised:
        found = f"{len(content)} bytes of sound where its head says {promised}"
        raise DataError(f"{file} has {found}", "copy it again, it was cut short")
    kind, silence = KINDS[width]
    numbers = np.frombuffer(content, kind).reshape(-1, channels).mean(1, dtype=np.float32)
    heard: NDArray[np.float32] = (numbers - silence) / np.float32(2 ** (8 * width - 1))
    return heard if own == rate else _resampled(heard, own, rate)


def _resampled(heard: NDArray[np.float32], own: int, rate: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly  # takes 0.3 s, and most never need it

    common = math.gcd(own, rate)
    made: NDArray[np.float32] = resample_poly(heard, rate // common, own // common)
    return made.astype(np.float32)


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[wave.Wave_read]:
    """The file, if it is one that we can read."""
    hint = f"make it 16 bit PCM: ffmpeg -i {file.name} -c:a pcm_s16le new.wav"
    try:
        with wave.open(str(file)) as sound:
            width, frames = sound.getsampwidth(), sound.getnframes()
            if width not in KINDS or not frames:
                found = f"{8 * width} bit samples" if frames else "no sound"
                raise DataError(f"{file}: expected 8 or 16 bit PCM, found {found}", hint)
            yield sound
    except FileNotFoundError:
        names = [entry.name for entry in file.parent.glob("*.wav")]
        raise DataError(f"{file} is not there", near(file.name, names)) from None
    except (OSError, EOFError, RuntimeError, wave.Error) as error:  # RuntimeError: a size is wrong
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise DataError(f"{file} cannot be read as .wav: {reason}", hint) from None
