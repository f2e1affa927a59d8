"""Sparse rows from files in the format of libsvm: a label, then `feature:value` for what is not 0.

    rows = read(Path("rank.train"))    # Row(label=0.0, features=[10, 11, …], values=[0.89, …]), …
    dense(rows, 301)                   # (rows, 301)

Feature numbers stay as they are in the file, from 0 or from 1. `qid:7` right after the label is the
row's query. What follows a `#` is a comment. A row that is not so is an error with file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora import text
from turnaround.errors import DataError

NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
SHOWN = 40  # characters of what is not as it should be
HINT = "a row is: label feature:value feature:value …, features as whole numbers that rise"


class Row(NamedTuple):
    """One line; features and values have one length."""

    label: float
    features: NDArray[np.int64]
    values: NDArray[np.float32]
    query: str | None
    line: int  # where it stands, from 1


def read(path: Path) -> list[Row]:
    """All rows of a file; lines without a row are skipped."""
    lines = (line.partition("#")[0] for line in text.read(path).split("\n"))
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataError(f"{path} holds no row", HINT)
    return rows


def _row(path: Path, number: int, line: str) -> Row:
    label, *cells = line.split()
    query = cells.pop(0)[4:] if cells and cells[0].startswith("qid:") else None
    try:
        pairs = [cell.split(":", 1) for cell in cells]
        features = np.array([int(feature) for feature, _ in pairs], np.int64)
        values = np.array([float(value) for _, value in pairs], np.float32)
        row = Row(float(label), features, values, query, number)
    except (ValueError, OverflowError):
        raise _malformed(path, number, _misfit(label, cells)) from None
    if not (math.isfinite(row.label) and np.isfinite(values).all()):
        raise _malformed(path, number, "a number that is not finite")
    if len(features) and (features[0] < 0 or (np.diff(features) <= 0).any()):
        raise _malformed(path, number, "features that do not rise")
    return row


def _misfit(label: str, cells: list[str]) -> str:
    """The first word of a row that is not what stands there."""
    pair = re.compile(rf"0*\d{{1,18}}:{NUMBER}")  # of more digits than that 64 bits hold not all
    wanted = [re.compile(NUMBER), *[pair] * len(cells)]
    words = zip(wanted, [label, *cells], strict=True)
    return next((word for form, word in words if not form.fullmatch(word)), " ".join(cells))


def _malformed(path: Path, number: int, found: str) -> DataError:
    return DataError(
        f"{path}, line {number}: expected feature:value, found {found[:SHOWN]!r}", HINT
    )


def dense(rows: Sequence[Row], width: int) -> NDArray[np.float32]:
    """All values, with zeros between: (rows, width); features from `width` on are left out."""
    whole = np.zeros((len(rows), width), np.float32)
    for values, row in zip(whole, rows, strict=True):
        known = row.features < width
        values[row.features[known]] = row.values[known]
    return whole
