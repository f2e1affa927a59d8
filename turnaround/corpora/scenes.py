"""Pictures of coloured shapes, drawn, and the sentence that says what is where.

    scene = examples("train", count=8000)[0]
    scene.sentence  # "At the top is a large red circle and on the right a small white cross."
    draw(scene)           # (3, 32, 32) bytes, a little noisy, nothing quite in its place
    things(scene.sentence)                  # ["red circle", "blue square"]

One to three things lie in the cells of a grid of three by three, and a scene has one sentence, so a
perfect model reaches BLEU 100. Validation and test ask for what was never shown: of all pairs that
go together (a thing with its place, a thing with another) one in twelve is kept out of training,
and each of their scenes has such a pair.
"""

from __future__ import annotations

import itertools
import random
import re
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora.images import Pixels

HELD_OUT = 12
SIDE = 32  # of a picture
CELL = SIDE / 3
SIZES = {"small": 3.0, "large": 4.6}  # half the width, in pixels
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (60, 80, 230),
    "yellow": (230, 220, 50),
    "purple": (160, 60, 190),
    "white": (235, 235, 235),
}
SHAPES = ("circle", "square", "triangle", "cross")
PLACES = (
    ("at the top left", "at the top", "at the top right"),
    ("on the left", "in the middle", "on the right"),
    ("at the bottom left", "at the bottom", "at the bottom right"),
)
THING = re.compile(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})")


class Thing(NamedTuple):
    """A shape in a cell."""

    size: str
    colour: str
    shape: str
    row: int
    column: int

    @property
    def name(self) -> str:
        """Without its size and place."""
        return f"{self.colour} {self.shape}"

    def __str__(self) -> str:
        return f"a {self.size} {self.name}"


class Scene(NamedTuple):
    """Things in reading order, which is that of the sentence: first where, then what."""

    things: tuple[Thing, ...]
    number: int  # two scenes with one sentence are drawn differently

    @property
    def sentence(self) -> str:
        """What is to be said of it."""
        first, *others = [f"{PLACES[t.row][t.column]} {t}" for t in self.things]
        place, _, rest = first.partition(" a ")
        said = [f"{place.capitalize()} is a {rest}", *others]
        return f"{' and '.join([', '.join(said[:-1]), said[-1]] if others else said)}."


def examples(split: str, count: int, seed: int = 0) -> list[Scene]:
    """`count` scenes of `train`, `valid` or `test`, the same ones from the same seed."""
    rng = random.Random(f"{seed} {split} scenes")  # seeded with a text: the same in every process
    found: list[Scene] = []
    while len(found) < count:
        cells = sorted(rng.sample(range(9), rng.randint(1, 3)))
        things = tuple(_thing(rng, *divmod(cell, 3)) for cell in cells)
        if _split(things) == split:
            found.append(Scene(things, len(found)))
    return found


def _thing(rng: random.Random, row: int, column: int) -> Thing:
    size, colour = rng.choice(list(SIZES)), rng.choice(list(COLOURS))
    return Thing(size, colour, rng.choice(SHAPES), row, column)


def _split(things: tuple[Thing, ...]) -> str:
    """The one split that things may be in."""
    names = [thing.name for thing in things]
    pairs = [f"{thing.name} {thing.row} {thing.column}" for thing in things]
    pairs += [f"{one}, {other}" for one, other in itertools.combinations(sorted(names), 2)]
    if all(zlib.crc32(pair.encode()) % HELD_OUT for pair in pairs):
        return "train"
    return "test" if zlib.crc32(str(things).encode()) % 2 else "valid"


def draw(scene: Scene) -> Pixels:
    """Bytes: (3, 32, 32)."""
    rng = np.random.default_rng(zlib.crc32(str(scene).encode()))
    picture = rng.normal(40, 12, (3, SIDE, SIDE))
    for thing in scene.things:
        down, right = rng.uniform(-1, 1, 2)
        middle = CELL * (thing.row + 0.5) + down, CELL * (thing.column + 0.5) + right
        covered = _covered(thing.shape, SIZES[thing.size], middle)
        shade = rng.normal(0, 8, (3, 1)) + np.array(COLOURS[thing.colour])[:, None]
        picture[:, covered] = shade + rng.normal(0, 8, (3, covered.sum()))
    return picture.clip(0, 255).astype(np.uint8)


def _covered(shape: str, half: float, middle: tuple[float, float]) -> NDArray[np.bool_]:
    """The pixels that a shape of that half width lies on: (side, side)."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    y, x = rows + 0.5 - middle[0], columns + 0.5 - middle[1]
    box = np.maximum(abs(y), abs(x))
    covered: NDArray[np.bool_] = {
        "circle": y**2 + x**2 <= half**2,
        "square": box <= 0.9 * half,
        "triangle": (2 * abs(x) <= y + half) & (y <= half),
        "cross": (box <= half) & (np.minimum(abs(y), abs(x)) <= half / 3),
    }[shape]
    return covered


def things(sentence: str) -> list[str]:
    """The coloured shapes that a sentence names, in order."""
    return [" ".join(found) for found in THING.findall(sentence)]
