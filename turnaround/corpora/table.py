"""Rows of numbers with a label each, from CSV (any of , ; TAB between cells) or libsvm files.

    table = read(Path("iris.csv"), label="species")
    table.names         # of the features: the header, or their numbers where there is none
    table.values        # (rows, features)
    table.labels        # as they are written
    split(data, "valid", label="species")    # of the file of a split, or of what is cut from one

A cell that is no number is an error that names file, line and column.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora import libsvm, splits, text
from turnaround.errors import DataError, near
from turnaround.spec import Data

SPARSE = re.compile(r"\s*\S+(\s+\S+:\S+)+\s*(#.*)?$")  # a row of libsvm
BETWEEN = ",;\t"


class Table(NamedTuple):
    """What a file holds."""

    labels: list[str]
    values: NDArray[np.float64]
    names: list[str]


def split(data: Data, name: str, label: str | None = None) -> Table:
    """The rows of split `name`; of a file that is cut, each goes where its hash says."""
    file, cut = splits.chosen(data, name)
    whole = read(file, label)
    keys = (f"{label} {row.tolist()}" for label, row in zip(*whole[:2], strict=True))
    mine = splits.kept(range(len(whole.labels)), keys, name, cut)
    return Table([whole.labels[i] for i in mine], whole.values[mine], whole.names)


def read(path: Path, label: str | None = None) -> Table:
    """All rows; `label` is the column that is to be told, the last where it is not given."""
    whole = text.read(path)
    if SPARSE.match(whole.lstrip().split("\n", 1)[0]):
        return _sparse(path)
    return _table(path, whole, label)


def _sparse(path: Path) -> Table:
    rows = libsvm.read(path)
    width = 1 + max(int(row.features.max(initial=0)) for row in rows)
    values = libsvm.dense(rows, width).astype(np.float64)
    return Table([f"{row.label:g}" for row in rows], values, [str(i) for i in range(width)])


def _table(path: Path, whole: str, label: str | None) -> Table:
    rows = _rows(whole)
    _, first = rows[0]
    headed = label is not None or not all(number(cell) is not None for cell in first[:-1])
    names = first if headed else [str(i) for i in range(1, len(first) + 1)]
    if label is not None and label not in names:
        raise DataError(f"{path}, line 1: no column {label}", near(label, names))
    at = names.index(label) if label is not None else len(names) - 1
    body = rows[headed:]
    if not body or len(names) < 2:
        raise DataError(f"{path} holds no row of features and a label", "a row is: 5.1,3.5,setosa")
    values = [_values(path, row, names, at) for row in body]
    labels = [cells[at].strip() for _, cells in body]
    return Table(labels, np.array(values), names[:at] + names[at + 1 :])


def _rows(whole: str) -> list[tuple[int, list[str]]]:
    """Line number and cells of each row that is not empty."""
    first = whole.lstrip().split("\n", 1)[0]
    reader = csv.reader(whole.splitlines(), delimiter=max(BETWEEN, key=first.count))
    return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]


def _values(path: Path, row: tuple[int, list[str]], names: list[str], at: int) -> list[float]:
    line, cells = row
    if len(cells) != len(names):
        found = f"expected {len(names)} cells, found {len(cells)}"
        raise DataError(f"{path}, line {line}: {found}", "every row has the cells of the first")
    return list(_features(path, line, dict(enumerate(zip(names, cells, strict=True))), at))


def _features(path: Path, line: int, cells: dict[int, tuple[str, str]], at: int) -> Iterator[float]:
    for place, (name, cell) in cells.items():
        if place == at:
            if not cell.strip():
                raise DataError(f"{path}, line {line}: no label in column {name}", "fill it")
            continue
        value = number(cell)
        if value is None:
            found = f"expected a number in column {name}, found {cell.strip()!r}"
            raise DataError(f"{path}, line {line}: {found}", "fill it, or leave the row out")
        yield value


def number(cell: str) -> float | None:
    """The cell as a finite number, if it is one."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
