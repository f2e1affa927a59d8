"""English sentences with their trees, generated from a small grammar that leaves nothing in doubt.

    examples("train", 3)[0]     # "(ROOT (S (NP (DT the) (NN king)) (VP (VBD slept)) (. .)))"

Relative clauses, clauses within clauses, two clauses side by side, and prepositional phrases: those
with of, near and behind belong to the noun before them, those with in, after and without to the
verb, and always to the nearest that they can belong to. So every sentence has one tree, and who
knows the grammar finds all brackets. No sentence is in two splits.
"""

from __future__ import annotations

import hashlib
import random
import re
import zlib
from pathlib import Path

from turnaround.corpora.lexicon import BEINGS, KINDS, Noun, adjectives, nouns, verbs

HELD_OUT = {0: "valid", 1: "test"}  # of ten
DETERMINERS = ("the", "no", "this", "every", "my", "her", "our", "their")
PRONOUNS = ("he", "she", "it", "somebody", "nobody")
OF_NOUNS = ("of", "near", "behind")
OF_VERBS = ("in", "after", "without")
SAYS = ("said", "thought", "knew", "believed", "heard")
MODALS = ("will", "can", "must", "may")
ADVERBS = ("yesterday", "often", "finally", "soon")
LINKS = ("and", "but", "or")


def examples(split: str, count: int, seed: int = 0) -> list[str]:
    """`count` distinct trees of `train`, `valid` or `test`, in Penn brackets."""
    rng = random.Random(f"{seed} {split} trees")  # seeded with a text: the same in every process
    found: dict[str, str] = {}
    while len(found) < count:
        tree = Phrases(rng).sentence()
        words = " ".join(re.findall(r" ([^()\s]+)\)", tree))
        if HELD_OUT.get(zlib.crc32(words.encode()) % 10, "train") == split:
            found[words] = tree
    return list(found.values())


def write(split: str, count: int, file: Path) -> None:
    """The same, into a file."""
    file.write_text("\n".join(examples(split, count)), encoding="utf-8")


def edition() -> str:
    """Changes when the grammar does: part of the name of whatever is kept of it."""
    own = Path(__file__)
    files = (own, own.with_name("lexicon.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def node(label: str, *inside: str) -> str:
    """A bracket around a word, or around brackets."""
    return f"({label} {' '.join(inside)})"


class Phrases:
    """Says one sentence at random, as a tree."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.rng.random() < share

    def word(self, tag: str, words: tuple[str, ...]) -> str:
        """One of the words."""
        return node(tag, self.rng.choice(words))

    def sentence(self) -> str:
        """One clause, or two side by side."""
        parts = [self.subject(), self.action()]
        if self.chance(0.2):
            two = node("S", self.subject(), self.action())
            parts = [node("S", *parts), node(",", ","), self.word("CC", LINKS), two]
        elif self.chance(0.2):
            parts = [node("ADVP", self.word("RB", ADVERBS)), node(",", ","), *parts]
        elif self.chance(0.2):
            parts = [self.circumstance(), node(",", ","), *parts]
        return node("ROOT", node("S", *parts, node(".", ".")))

    def subject(self) -> str:
        """Who acts."""
        if self.chance(0.25):
            return node("NP", self.word("PRP", PRONOUNS))
        return self.something(BEINGS)

    def something(self, kinds: tuple[str, ...] = KINDS, clause: bool = True) -> str:
        """A noun phrase; only what nothing follows may end in a `clause`, else who is meant?"""
        noun = self.rng.choice(nouns(*kinds))
        bare = self.bare(noun)
        if self.chance(0.2):
            inside = self.something(("person", "place"), clause)
            return node("NP", bare, node("PP", self.word("IN", OF_NOUNS), inside))
        if clause and self.chance(0.12):
            who = node("WHNP", node("WP", "who" if noun.kind in BEINGS else "which"))
            return node("NP", bare, node("SBAR", who, node("S", self.action())))
        return bare

    def bare(self, noun: Noun) -> str:
        """A noun with what stands before it."""
        said = adjectives(noun.kind)
        between = [node("JJ", self.rng.choice(said).english)] if self.chance(0.3) else []
        return node("NP", self.word("DT", DETERMINERS), *between, node("NN", noun.singular[0]))

    def circumstance(self) -> str:
        """Where or when: what belongs to a verb."""
        place = self.something(("place", "thing"), clause=False)
        return node("PP", self.word("IN", OF_VERBS), place)

    def action(self) -> str:
        """A verb phrase."""
        kind = self.rng.random()
        if kind < 0.15:
            clause = node("S", self.subject(), self.action())
            that = node("SBAR", node("IN", "that"), clause)
            return node("VP", self.word("VBD", SAYS), that)
        if kind < 0.3:
            return node("VP", self.word("MD", MODALS), self.deed("VB"))
        return self.deed("VBD")

    def deed(self, tag: str) -> str:
        """A verb with its object, if it takes one, and perhaps its circumstance."""
        after = [self.circumstance()] if self.chance(0.3) else []
        takes = "" if self.chance(0.3) else self.rng.choice(KINDS)
        known = [verb for verb in verbs(takes=takes) if bool(verb.takes) == bool(takes)]
        verb = self.rng.choice([v for v in known if not v.link and "_" not in v.base])
        said = node(tag, (verb.base if tag == "VB" else verb.past).replace(" ", "-"))
        objects = [self.something((takes,), clause=not after)] if takes else []
        return node("VP", said, *objects, *after)
