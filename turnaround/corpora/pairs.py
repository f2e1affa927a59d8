"""Pairs of sentences from files (stub)."""
from __future__ import annotations
from typing import NamedTuple


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str
