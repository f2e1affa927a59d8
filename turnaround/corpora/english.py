"""English text, generated, and how much there is to know in it.

    told = tell("train", 12_000)
    told.text                       # "Did their horses forget?\\nWe never gave her the apple.\\n…"
    told.nats / len(told.text)      # 0.57: no model of its characters gets below that for long

The English side of `english_french`, one sentence a line, each drawn on its own. A sentence comes
about in one way only, so minus the logarithm of its probability is the sum over the choices made.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from turnaround.corpora.english_french import edition
from turnaround.corpora.grammar import Grammar
from turnaround.corpora.lexicon import Verb

__all__ = ["Told", "edition", "tell"]

T = TypeVar("T")


class Told(NamedTuple):
    """A text, and minus the logarithm of its probability under the grammar."""

    text: str
    nats: float


def tell(split: str, sentences: int, seed: int = 0) -> Told:
    """So many sentences of `train`, `valid` or `test`; the splits differ by their seed alone."""
    dice = Dice(f"{seed} {split} text")  # seeded with a text: the same in every process
    lines = [Accountant(dice).sentence()[0] + "\n" for _ in range(sentences)]
    return Told("".join(lines), dice.nats)


def write(split: str, sentences: int, file: Path) -> None:
    """The same, into a file."""
    file.write_text(tell(split, sentences).text, encoding="utf-8")


class Dice(random.Random):
    """A generator that adds up how unlikely the choices were that it made."""

    nats = 0.0

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]  # typeshed names a protocol
        """One of them, all alike likely."""
        self.nats += math.log(len(seq))
        return super().choice(seq)


class Accountant(Grammar):
    """The grammar, with all its choices accounted for."""

    rng: Dice

    def __init__(self, dice: Dice) -> None:
        super().__init__(dice)

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        true = super().chance(share)
        self.rng.nats -= math.log(share if true else 1 - share)
        return true

    def tense(self, verb: Verb) -> str:
        """A tense; verbs like `know` come to the present in two of four ways."""
        tense = super().tense(verb)
        if tense == "present" and not verb.gerund:
            self.rng.nats -= math.log(2)
        return tense
