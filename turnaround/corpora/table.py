"""Rows of numbers with a label each, from CSV (any of , ; TAB between cells) or libsvm files.

    table = read(Path("iris.csv"), label="species")
    table.names         # of the features: the header, or their numbers where there is none
    table.values        # (rows, features)
    table.labels        # as they are written
    split(data, "valid", label="species")    # of the file of a split, or of what is cut from one
    split(data, "valid", like=table)         # with its columns, which a header may order otherwise

A cell that is no number is an error that names file, line and column.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora import libsvm, splits, text
from turnaround.errors import DataError, near
from turnaround.spec import Data

SPARSE = re.compile(r"\s*\S+(\s+\S+:\S+)+\s*(#.*)?$")  # a row of libsvm
LATER = re.compile(rf"\s*{libsvm.NUMBER}(\s+\S+:\S+)+\s*(#.*)?$")  # one below the first line
ALONE = re.compile(rf"\s*({libsvm.NUMBER}\s*)?(#[^\t]*)?$")  # one of zeros only, or a comment
BETWEEN = ",;\t"


class Table(NamedTuple):
    """What a file holds."""

    labels: list[str]
    values: NDArray[np.float64]
    names: list[str]
    label: str | None = None  # what a header calls the labels; none: there is no header


class _Head(NamedTuple):
    """What a row has."""

    names: list[str]  # of all cells
    label: int  # its place
    features: list[int]  # their places, in their order


def split(data: Data, name: str, label: str | None = None, like: Table | None = None) -> Table:
    """The rows of split `name`; of a file that is cut, each goes where its hash says."""
    file, cut = splits.chosen(data, name)
    whole = read(file, label, like)
    keys = (f"{label} {row.tolist()}" for label, row in zip(*whole[:2], strict=True))
    mine = splits.kept(range(len(whole.labels)), keys, name, cut)
    return whole._replace(labels=[whole.labels[i] for i in mine], values=whole.values[mine])


def read(path: Path, label: str | None = None, like: Table | None = None) -> Table:
    """All rows; `label` is the column that is to be told, the last where it is not given.

    `like` is the table of the training file, whose features these will be: by name where both
    files have a header, else by place. Sparse rows have zeros in those that they do not mention.
    """
    whole = text.read(path)
    return _sparse(path, like) if _is_sparse(whole) else _table(path, whole, label, like)


def _is_sparse(whole: str) -> bool:
    """By the first line, or by the first row with features: others are a label alone."""
    lines = (line[0] for line in re.finditer(".+", whole))
    row = next((line for line in lines if not ALONE.match(line)), "")
    return bool(SPARSE.match(whole.lstrip().split("\n", 1)[0]) or LATER.match(row))


def _sparse(path: Path, like: Table | None) -> Table:
    rows = libsvm.read(path)
    width = 1 + max(int(row.features.max(initial=0)) for row in rows)
    names = like.names if like else [str(i) for i in range(width)]
    values = libsvm.dense(rows, len(names)).astype(np.float64)
    return Table([_label(row.label) for row in rows], values, names)


def _label(value: float) -> str:
    """With six digits, or as many more as it takes to tell it from any other."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 18))
    return next(each for each in texts if float(each) == value)


def _table(path: Path, whole: str, label: str | None, like: Table | None) -> Table:
    rows = _rows(path, whole)
    line, first = rows[0] if rows else (1, [])
    headed = label is not None or not all(number(cell) is not None for cell in first[:-1])
    body = rows[headed:]
    if not body or len(first) < 2:
        raise DataError(f"{path} holds no row of features and a label", "a row is: 5.1,3.5,setosa")
    head = _head(f"{path}, line {line}", first, label, like) if headed else _plain(len(first))
    if like and len(head.features) != len(like.names):
        found = f"expected {len(like.names) + 1} cells, found {len(first)}"
        raise DataError(f"{path}, line {line}: {found}", "the training file has so many columns")
    values = [_values(path, row, head) for row in body]
    labels = [cells[head.label].strip() for _, cells in body]
    names = [head.names[place] for place in head.features]
    return Table(labels, np.array(values), names, first[head.label] if headed else None)


def _plain(cells: int) -> _Head:
    """Of a file without a header."""
    return _Head([str(i) for i in range(1, cells + 1)], cells - 1, list(range(cells - 1)))


def _head(where: str, names: list[str], label: str | None, like: Table | None) -> _Head:
    """Of a file with a header; the features are those of `like` by name, if that has one too."""
    at = _told(where, names, label, like)
    others = [place for place in range(len(names)) if place != at]
    if like is None or like.label is None:
        return _Head(names, at, others)
    places: dict[str, list[int]] = {}
    for place in others:
        places.setdefault(names[place].strip(), []).append(place)
    features = []
    for name in map(str.strip, like.names):
        if not places.get(name):
            raise DataError(f"{where}: no column {name}", near(name, names))
        features.append(places[name].pop(0))
    return _Head(names, at, features)


def _told(where: str, names: list[str], label: str | None, like: Table | None) -> int:
    """The place of the labels: that of their name, or of their name in training, or the last."""
    last = len(names) - 1
    if label is None and like and like.label in names:
        return last - names[::-1].index(like.label)
    if label is None and like and names[last] in like.names:
        label = like.label  # which is not there
    if label is None:
        return last
    if label not in names:
        raise DataError(f"{where}: no column {label}", near(label, names))
    return names.index(label)


def _rows(path: Path, whole: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of each row that is not empty."""
    first = whole.lstrip().split("\n", 1)[0]
    lines = io.StringIO(whole, newline="")  # not splitlines, which cuts within cells
    reader = csv.reader(lines, delimiter=max(BETWEEN, key=first.count))
    rows, line = [], 0
    try:
        for cells in reader:
            line = reader.line_num
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
    except csv.Error as error:
        hint = "see that every quote in that row is closed"
        raise DataError(f"{path}, line {line + 1}: {error}", hint) from None
    return rows


def _values(path: Path, row: tuple[int, list[str]], head: _Head) -> list[float]:
    line, cells = row
    if len(cells) != len(head.names):
        found = f"expected {len(head.names)} cells, found {len(cells)}"
        raise DataError(f"{path}, line {line}: {found}", "every row has the cells of the first")
    if not cells[head.label].strip():
        name = head.names[head.label]
        raise DataError(f"{path}, line {line}: no label in column {name}", "fill it")
    return [_value(path, line, head.names[place], cells[place]) for place in head.features]


def _value(path: Path, line: int, name: str, cell: str) -> float:
    value = number(cell)
    if value is None:
        found = f"expected a number in column {name}, found {cell.strip()!r}"
        raise DataError(f"{path}, line {line}: {found}", "fill it, or leave the row out")
    return value


def number(cell: str) -> float | None:
    """The cell as a finite number, if it is one."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
