"""English-French sentences, generated: as many as are wanted, the same ones from the same seed.

    examples("train", count=40_000)[0]      # Pair("The king hears her.", "Le roi l'entend.")

French agrees in gender, number and person (even the participle with an object before it: la pomme
que le roi a mangée), elides (l'autre hôtel, d'autres amis, qu'elle), contracts (du, aux), bends
before vowels (un bel arbre, mon actrice), and sets pronouns and negation around its verb. Every
English sentence has one translation, so a perfect model reaches BLEU 100.

Validation and test ask for what was never shown: of all pairs of words that go together (a noun
with its adjective, with the verb it does or suffers) one in twelve is kept out of training, and
each of their sentences holds such a pair.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from pathlib import Path

from turnaround.corpora.grammar import Grammar
from turnaround.corpora.pairs import Pair

HELD_OUT = 12


def examples(split: str, count: int, seed: int = 0, clauses: int = 1) -> list[Pair]:
    """`count` distinct sentences of `train`, `valid` or `test`, each of so many clauses."""
    rng = random.Random(f"{seed} {split}")  # seeded with a text: the same in every process
    found: dict[str, str] = {}
    while len(found) < count:
        grammar = Grammar(rng)
        english, french = grammar.sentence(clauses)
        if _split(english, grammar.pairs) == split:
            found[english] = french
    return [Pair(english, french) for english, french in found.items()]


def edition() -> str:
    """Changes when the grammar does: part of the name of whatever is kept of it."""
    own = Path(__file__)
    parts = (own.with_name(f"{name}.py") for name in ("french", "grammar", "lexicon"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in (own, *parts))).hexdigest()


def _split(english: str, pairs: set[str]) -> str:
    """The one split a sentence may be in."""
    if all(zlib.crc32(pair.encode()) % HELD_OUT for pair in pairs):
        return "train"
    return "test" if zlib.crc32(english.encode()) % 2 else "valid"
