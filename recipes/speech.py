"""Speech → text: spectrogram, convolutions, recurrent layers and CTC, as in Deep Speech 2.

The paper (Amodei et al., 2015) normalises over a whole batch; here it is over each frame, or each
sequence, so that two devices draw the curve of one (see turnaround/nn/frames.py). For spoken digits
see experiment=digits: below 1 % of the digits wrong on the takes held out as the test.

    turnaround run recipe=speech
    turnaround run recipe=speech data.path=speech.tsv        # a line: file.wav TAB what is said
    turnaround run recipe=speech data.sortagrad=true         # the first epoch from short to long
    turnaround run recipe=speech recipe.streaming=true       # hears 0.2 s ahead and no more
    turnaround run recipe=speech recipe.beam=16 recipe.order=5    # with a model of the texts

Data: generated speech, three to eight vowels out of eight in noise; or .wav files.
Expect: 0.81 % of the symbols of unseen utterances wrong, in 4.4 % of the utterances (one seed).
Time: 55 s on one CPU core, 800 steps of 32.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.nn.functional import ctc_loss
from torch.nn.utils.rnn import pad_sequence

from turnaround.corpora import recordings, sounds
from turnaround.corpora.recordings import Recording, Spoken
from turnaround.engine import Lazy, Mean, Recipe, Tally
from turnaround.errors import ConfigError, DataError
from turnaround.nn.ctc import BLANK, NGram, PrefixBeam, greedy
from turnaround.nn.frames import Convolution, Recurrent, RowConvolution, present
from turnaround.nn.spectrogram import Spectrogram, heard
from turnaround.spec import Amount, Count, Share

HELD_OUT = 500  # utterances drawn to validate on, and to test on


@dataclass(frozen=True)
class Config:
    """Knobs; `utterances`, `least` and `most` are of those that are generated or joined."""

    utterances: Count = 10_000  # to train on
    least: Count = 3  # symbols, or recordings, in one
    most: Count = 8
    join: bool = False  # recordings one after another, drawn at random
    speed: Share = 0.0  # by which recordings are joined faster or slower, to train on
    rate: Count = 8000  # samples a second; files of another rate are resampled
    bands: Count = 32  # of frequency, on the mel scale
    convolutions: Count = 2
    channels: Count = 16  # of each
    stride: Count = 2  # of the first, over time; 3 where a character lasts long
    layers: Count = 1  # recurrent ones
    width: Count = 64  # of each, and of each of its directions
    norm: Literal["layer", "sequence"] = "layer"  # over a frame's features, or a sequence's frames
    dropout: Share = 0.0  # of what enters the recurrent layers and the output
    streaming: bool = False  # nothing is heard ahead but by a row convolution
    ahead: Count = 10  # of so many frames, as they are after the stride
    beam: Count = 1  # prefixes to keep while decoding; 1 is greedy
    order: Count = 1  # of the beam's model of the training texts: 5 sees four back, 1 is none
    alpha: Amount = 0.5  # what that model weighs
    beta: float = 0.5  # and what it gives for each character, lest it prefer short texts

    def __post_init__(self) -> None:
        if self.least > self.most:
            wish = f"recipe.least={self.least} is more than recipe.most={self.most}"
            raise ConfigError(wish, f"recipe.most={self.least}")
        if self.speed > 0.5:
            raise ConfigError(f"recipe.speed={self.speed} is no longer speech", "recipe.speed=0.15")
        if self.order > 1 and self.beam == 1:
            wish = f"recipe.order={self.order} is for a beam, and recipe.beam=1 is greedy"
            raise ConfigError(wish, "recipe.beam=16")


Example = sounds.Said | Spoken
Output = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Batch:
    sound: Tensor  # (batch, longest), padded with silence
    frames: Tensor  # (batch,): how many of its spectrogram count
    symbols: Tensor  # of all texts, one after another
    lengths: Tensor  # (batch,), of the texts in symbols
    texts: list[str]


class Model(nn.Module):
    alphabet: Tensor  # its characters' numbers

    def __init__(self, c: Config, rate: int, alphabet: str) -> None:
        super().__init__()
        self.hear, bands, before = Spectrogram(rate, c.bands), c.bands, 1
        self.convolutions = nn.ModuleList()
        for stride in [c.stride] + [1] * (c.convolutions - 1):
            layer = Convolution((before, c.channels), bands, stride, c.norm, not c.streaming)
            self.convolutions.append(layer)
            bands, before = layer.bands, c.channels
        features = [c.channels * bands] + [c.width] * (c.layers - 1)
        self.recurrent = nn.ModuleList(
            Recurrent(size, c.width, c.norm, not c.streaming) for size in features
        )
        self.row = RowConvolution(c.width, c.ahead) if c.streaming else nn.Identity()
        self.dropout = nn.Dropout(c.dropout)
        self.out = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, 1 + len(alphabet)))
        # Kept with the parameters: a model writes what it learnt, whatever the files say now.
        self.register_buffer("alphabet", torch.tensor([ord(letter) for letter in alphabet]))

    def forward(self, sound: Tensor, frames: Tensor) -> Output:
        """Log-probabilities (batch, frames, symbols), and how many frames count (batch,)."""
        x = self.hear(sound)
        x = (x * present(frames, x.shape[1])).unsqueeze(1)
        for convolution in self.convolutions:
            x, frames = convolution(x, frames)
        x = x.transpose(1, 2).flatten(2)
        for layer in self.recurrent:
            x = layer(self.dropout(x), frames)
        return self.out(self.dropout(self.row(x))).log_softmax(2), frames


class ErrorRate(Mean):
    """Insertions, deletions and substitutions for each character, or word, that was said."""

    @classmethod
    def between(cls, guesses: Sequence[Sequence[str]], texts: Sequence[Sequence[str]]) -> ErrorRate:
        errors = sum(map(Levenshtein.distance, guesses, texts))
        return cls.of(float(errors), sum(map(len, texts)))


class Speech(Recipe[Batch]):
    config: Config

    @functools.cached_property
    def rate(self) -> int:
        return self.config.rate if any(self.source.paths().values()) else sounds.RATE

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def found(self, split: str) -> list[Recording]:
        """The user's recordings, if there are files."""
        files = any(self.source.paths().values())
        return recordings.split(self.source, split) if files else []

    def data(self, split: str) -> Lazy[int, Example]:
        c, found = self.config, self.found(split)
        drawn = c.utterances if split == "train" else min(c.utterances, HELD_OUT)
        count = len(found) if found and not c.join else drawn
        return Lazy(range(count), functools.partial(self.example, split))

    def example(self, split: str, number: int) -> Example:
        c, found, key = self.config, self.found(split), (sounds.SPLITS.index(split), number)
        if not found:
            return sounds.draw(key, (c.least, c.most))
        if c.join:
            speed = c.speed if split == "train" else 0.0
            return recordings.joined(found, key, (c.least, c.most), c.rate, speed)
        said = Spoken.alone(found[number], c.rate)
        frames = -(-heard(said.samples, c.rate) // c.stride)
        needed = len(said.text) + sum(map(str.__eq__, said.text, said.text[1:]))
        if frames < needed:  # a character takes one, and the blank between two that are the same
            raise DataError(
                f"{said.where}: {said.text[:60]!r} needs {needed} frames, the sound makes {frames}",
                "see that file and text belong together, or take recipe.stride=1",
            )
        return said

    @functools.cached_property
    def alphabet(self) -> str:
        """The characters of the training texts; what others there are is never written."""
        texts = [recording.text for recording in self.found("train")] or sounds.FORMANTS
        return "".join(sorted(set().union(*texts)))

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        return {letter: number for number, letter in enumerate(self.alphabet, start=1)}

    def symbols(self, text: str) -> list[int]:
        return [self.numbers[letter] for letter in text if letter in self.numbers]

    @functools.cached_property
    def decoder(self) -> PrefixBeam:
        c = self.config
        if c.order == 1:
            return PrefixBeam(c.beam)
        texts = (self.symbols(example.text) for example in self.data("train"))
        model = NGram.learnt(texts, c.order, 1 + len(self.alphabet))
        return PrefixBeam(c.beam, model, c.alpha, c.beta)

    def length(self, example: Example) -> int:
        return example.samples

    def collate(self, examples: Sequence[Example]) -> Batch:
        sound = [torch.from_numpy(example.sound()) for example in examples]
        texts = [example.text for example in examples]
        symbols = [torch.tensor(self.symbols(text), dtype=torch.long) for text in texts]
        return Batch(
            pad_sequence(sound, batch_first=True),
            torch.tensor([heard(len(one), self.rate) for one in sound]),
            torch.cat(symbols),
            torch.tensor([len(row) for row in symbols]),
            texts,
        )

    def model(self) -> Model:
        return Model(self.config, self.rate, self.alphabet)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.sound, batch.frames

    def loss(self, output: Output, batch: Batch) -> Mean:
        log_probs, frames = output[0].transpose(0, 1), output[1]
        summed = ctc_loss(log_probs, batch.symbols, frames, batch.lengths, BLANK, reduction="sum")
        return Mean.of(summed, len(batch.texts))

    def score(self, model: nn.Module, batch: Batch, output: Output) -> dict[str, Tally]:
        guesses = self.written(model, output)
        words = [[text.split() for text in texts] for texts in (guesses, batch.texts)]
        return {"cer": ErrorRate.between(guesses, batch.texts), "wer": ErrorRate.between(*words)}

    def samples(
        self, model: nn.Module, examples: list[Example]
    ) -> tuple[list[str], list[list[str]]]:
        pairs = zip(examples, self.transcripts(model, examples), strict=True)
        return ["said", "written"], [[example.text, guess] for example, guess in pairs]

    def answer(self, model: nn.Module, line: str) -> str:
        """What is said in the .wav file of that name."""
        file = Recording(Path(line.strip()).expanduser(), "", line.strip())
        return self.transcripts(model, [Spoken.alone(file, self.rate)])[0]

    def transcripts(self, model: nn.Module, examples: Sequence[Example]) -> list[str]:
        batch, weight = self.collate(examples), next(model.parameters())
        return self.written(model, model(batch.sound.to(weight), batch.frames.to(weight.device)))

    def written(self, model: nn.Module, output: Output) -> list[str]:
        """The texts that the frames say."""
        assert isinstance(model, Model)
        log_probs, frames = output
        if self.config.beam == 1:
            rows = greedy(log_probs, frames)
        else:
            each = zip(log_probs.float().cpu(), frames.tolist(), strict=True)
            rows = [self.decoder.search(row[:count]).symbols for row, count in each]
        letters = [chr(code) for code in model.alphabet.tolist()]
        return ["".join(letters[symbol - 1] for symbol in row) for row in rows]
