"""Images: what is on them, by Inception blocks or plain convolutions, none fully connected.

Looks of several sizes side by side (Szegedy et al., 2014), normalised in groups; the classes are a
1×1 convolution, averaged over the image, so any size of image will do. `init_from=RUN` starts from
what another run has learnt.

    turnaround run recipe=image
    turnaround run recipe=image data.path=mnist       # MNIST's four idx files, gzipped or not
    turnaround run recipe=image data.path=photos recipe.size=64    # photos/cat/1.jpg, …
    turnaround run recipe=image recipe.model=plain layout=ddp layout.replicate=2

Data: the 1,797 digits of 8×8 pixels that scikit-learn brings, 998 of them to train on
Expect: accuracy 0.993 on 599 unseen digits, by hands that were seen (0.983 with seed 2 of four)
Time: 500 steps of 32 in 7 s on one CPU core; of MNIST (experiment=mnist) see docs/measurements.md
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.corpora import images
from turnaround.corpora.images import Labelled, Pixels
from turnaround.engine import Lazy, Mean, Recipe, Tally
from turnaround.errors import ConfigError, DataError, near
from turnaround.nn.convolution import UNIT, Encoder
from turnaround.spec import Count


@dataclass(frozen=True)
class Config:
    """Knobs."""

    model: Literal["inception", "plain"] = "inception"
    width: Count = 32  # features of the first stage, a multiple of 8; each stage doubles them
    stages: Count = 3  # each but the first halves height and width
    depth: Count = 1  # blocks of a stage
    shift: int = 0  # pixels by which training images are moved about, each image to each place
    size: Count = 32  # to which images of files like .png and .jpg are squeezed
    classes: list[int | str] | None = None  # only these, of all that there are
    labels: Count | None = None  # only so many training examples, drawn by the seed

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise ConfigError(f"recipe.shift={self.shift}", "give 0 or more")
        if self.width % UNIT:
            nearest = UNIT * max(1, round(self.width / UNIT))
            raise ConfigError(f"recipe.width={self.width}", f"give a multiple: {nearest}")


class Example(NamedTuple):
    pixels: Pixels
    label: int
    name: str


Batch = tuple[Tensor, Tensor]  # images (batch, channels, height, width) in bytes, classes (batch)


class Shifted(Sequence[Example]):
    """Each example at each of (2 · shift + 1)² places; what is bared repeats the border.

    They are examples of their own, so what is read when depends on no generator's state.
    """

    def __init__(self, examples: Sequence[Example], shift: int) -> None:
        self._examples, self._shift, self._side = examples, shift, 2 * shift + 1

    def __len__(self) -> int:
        return len(self._examples) * self._side**2

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place, which = divmod(index, len(self._examples))
        example = self._examples[which]
        down, right = (n - self._shift for n in divmod(place, self._side))
        height, width = example.pixels.shape[1:]
        rows = (np.arange(height) - down).clip(0, height - 1)
        columns = (np.arange(width) - right).clip(0, width - 1)
        return example._replace(pixels=example.pixels[:, rows[:, None], columns])


class Classifier(nn.Module):
    def __init__(self, c: Config, channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(c.model, channels, c.width, c.stages, c.depth)
        self.out = nn.Conv2d(self.encoder.features, classes, 1)

    def forward(self, seen: Tensor) -> Tensor:
        """Logits: (batch, classes)."""
        return self.out(self.encoder(seen)).mean((2, 3))


class ImageClasses(Recipe[Batch]):
    config: Config
    fusible = True

    def data(self, split: str) -> Sequence[Example]:
        c, found = self.config, self.found(split)
        if split == "train" and c.labels:
            found = [found[i] for i in torch.randperm(len(found))[: c.labels]]
        examples = Lazy(found, self.example)
        return Shifted(examples, c.shift) if split == "train" and c.shift else examples

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def found(self, split: str) -> list[Labelled]:
        if any(self.source.paths().values()):
            found = images.split(self.source, split)
        else:
            edition = [importlib.metadata.version("scikit-learn")]
            found = images.digits(self.once("digits", edition, images.write_digits), split)
        return [one for one in found if not self.wanted or one.label in self.wanted]

    @functools.cached_property
    def wanted(self) -> set[str]:
        return set(map(str, self.config.classes or ()))

    @functools.cached_property
    def classes(self) -> list[str]:
        there = {one.label for one in self.found("train")}
        if absent := self.wanted - there:
            name = min(absent)
            raise ConfigError(f"recipe.classes: {name} is not among them", near(name, there))
        return sorted(there, key=lambda name: (len(name), name) if name.isdigit() else (0, name))

    def example(self, found: Labelled) -> Example:
        if found.label not in self.classes:
            raise DataError(
                f"{found.name} shows {found.label}, of which there is no image to train on",
                near(found.label, self.classes),
            )
        pixels = self.pixels(found.image)
        return Example(pixels, self.classes.index(found.label), found.name)

    def pixels(self, image: Pixels | Path) -> Pixels:
        """With the channels of those to train on, a file's squeezed into their size too."""
        channels, height, width = self.first.shape
        found = images.pixels(image, (height, width), channels)
        return np.broadcast_to(found, (channels, *found.shape[1:]))  # of an idx file: one channel

    @functools.cached_property
    def first(self) -> Pixels:
        return images.pixels(self.found("train")[0].image, self.config.size)

    def collate(self, examples: list[Example]) -> Batch:
        pixels = torch.from_numpy(np.stack([example.pixels for example in examples]))
        return pixels, torch.tensor([example.label for example in examples])

    def length(self, example: Example) -> int:
        return 1

    def model(self) -> Classifier:
        classes = len(self.classes)  # before an image is read: if there is none, it says so
        return Classifier(self.config, len(self.first), classes)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[0] / 255,)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        return Mean.of(cross_entropy(logits, batch[1], reduction="sum"), len(logits))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        return {"accuracy": Mean.of((logits.argmax(1) == batch[1]).sum(), len(logits))}

    def samples(
        self, model: nn.Module, examples: list[Example]
    ) -> tuple[list[str], list[list[str]]]:
        guesses = self.guesses(model, [example.pixels for example in examples])
        return ["image", "class", "prediction", "probability"], [
            [example.name, self.classes[example.label], guess, f"{share:.3f}"]
            for example, (guess, share) in zip(examples, guesses, strict=True)
        ]

    def answer(self, model: nn.Module, line: str) -> str:
        """The class of the image in a file."""
        pixels = self.pixels(Path(line.strip()).expanduser())
        guess, share = self.guesses(model, [pixels])[0]
        return f"{guess} ({share:.3f})"

    def guesses(self, model: nn.Module, pixels: list[Pixels]) -> list[tuple[str, float]]:
        """The likeliest class of each image, and its probability."""
        device = next(model.parameters()).device
        logits = model(torch.from_numpy(np.stack(pixels)).to(device) / 255)
        shares, best = logits.softmax(1).max(1)
        named = [self.classes[i] for i in best.tolist()]
        return list(zip(named, shares.tolist(), strict=True))
