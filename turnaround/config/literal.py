"""Numbers as words of a command line, read without Hydra, which takes 0.2 s to import and to ask.

literal.setting("optim.lr=1e-3")         # ("optim.lr", 0.001)
literal.listed("1e-3,3e-3,0.01")         # [0.001, 0.003, 0.01]
literal.single("recipe.file-2")          # True: whatever it is, it is one value

What is read here means the same in Hydra's grammar; all else is none, and Hydra is asked.
"""

from __future__ import annotations

import re

from turnaround.config import places

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NUMERIC = re.compile(
    r"[+-]?(([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(e[+-]?[0-9][0-9_]*)?|inf|nan)", re.IGNORECASE
)
MOST_DIGITS = 4300  # of a whole number that Python reads
KEY = re.compile(r"(?!hydra)[a-z_]\w*(\.[a-z_]\w*)?", re.ASCII)
_SINGLE = re.compile(r"[\w./+-]+", re.ASCII)


def number(text: str) -> int | float | None:
    """The number."""
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > MOST_DIGITS:
        return None
    return float(text) if found[2] or found[3] else int(text)


def numeric(text: str) -> bool:
    """Hydra may take it for a number, and 1.10 for 1.1."""
    return _NUMERIC.fullmatch(text) is not None


def setting(word: str) -> tuple[str, int | float] | None:
    """The setting that takes a number, and which; none where the word chooses a file."""
    key, _, text = word.partition("=")
    value = number(text)
    if value is None or key in places.GROUPS or not KEY.fullmatch(key):
        return None
    return key, value


def listed(text: str) -> list[int | float] | None:
    """The numbers between commas, each once; none unless there are several."""
    found = [number(part) for part in text.split(",")] if "," in text else [None]
    known = {(type(value), value): value for value in found if value is not None}
    return list(known.values()) if None not in found else None


def single(text: str) -> bool:
    """Nothing in it could ask for several values."""
    return _SINGLE.fullmatch(text) is not None
