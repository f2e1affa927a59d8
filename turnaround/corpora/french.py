"""How French is written: agreement, elision, contraction.

spell(["je", "ne", "parle", "pas", "de", "le", "arbre"])   # "je ne parle pas de l'arbre"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

VOWELS = "aeiouyàâéèêëîïôûœ"
ASPIRATED = ("hibou", "hérisson", "héros")  # le hibou, though l'hôtel
ELIDED = ("le", "la", "de", "que", "ne", "je", "me")
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}

# Of je, il, nous, vous, ils.
AVOIR = ("ai", "a", "avons", "avez", "ont")
ETRE = ("suis", "est", "sommes", "êtes", "sont")
ETAIT = ("étais", "était", "étions", "étiez", "étaient")
SERA = ("serai", "sera", "serons", "serez", "seront")
FUTURE = ("ai", "a", "ons", "ez", "ont")  # endings


class Agreement(NamedTuple):
    """With whom a verb or an adjective agrees; the polite vous is person 2 and singular."""

    person: int = 3
    plural: bool = False
    feminine: bool = False

    @property
    def row(self) -> int:
        """Where its form stands in a table of je, il, nous, vous, ils."""
        return {1: 2 if self.plural else 0, 2: 3, 3: 4 if self.plural else 1}[self.person]


def agree(participle: str, who: Agreement | None) -> str:
    """A participle as it agrees with `who`, if with anybody: vu, vue, vus, vues."""
    if who is None:
        return participle
    return participle + "e" * who.feminine + "s" * who.plural


def starts_with_vowel(word: str) -> bool:
    """Whether le, de, je and their like lose their vowel before this word."""
    return word[0] in VOWELS or (word[0] == "h" and not word.startswith(ASPIRATED))


def spell(words: Sequence[str]) -> str:
    """Words as they are written together: elided, contracted, joined."""
    written: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if (word, rest[:1]) == ("de", ["des"]):  # de + des = de
            rest.pop(0)
        following = rest[0] if rest else ""
        if (word, following) in CONTRACTED and not _elides(rest):
            word, following = CONTRACTED[word, rest.pop(0)], ""
        elided = word in ELIDED and following and starts_with_vowel(following)
        written += [word[:-1] + "'"] if elided else [word, " "]
    return "".join(written).rstrip().replace(" ,", ",")


def _elides(words: list[str]) -> bool:
    """Whether the first of these words loses its vowel before the second."""
    return words[0] in ELIDED and len(words) > 1 and starts_with_vowel(words[1])
