"""Groups of rows that compete, as for one query: from libsvm files, from click logs, or made up.

    groups, names = read(Path("rank.train"))    # rows of libsvm
    held_out, _ = read(Path("clicks.tsv"), names)    # a log: query, click, then features
    made(500, seed=0)    # of a known rule
    Rankings(data, queries=1000).split("valid")    # from the files that are given, else made up

Rows of libsvm have a `qid:`, or the file `rank.train.query` beside them the size of each group on a
line, as LightGBM wants it. In a click log `query` says what competes and `click` is the label; a
column of numbers is numeric, any other has words. What is not so is an error with file and line.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from turnaround.corpora import libsvm, splits, text
from turnaround.corpora.table import number
from turnaround.errors import DataError
from turnaround.spec import Data

QUERY, CLICK = "query", "click"


class Group(NamedTuple):
    """What competes: a row each."""

    query: str
    labels: NDArray[np.float32]  # (rows), 0 and above
    numbers: NDArray[np.float32]  # (rows, numeric features)
    words: list[list[str]]  # of each row, for each of the other features


@dataclass(frozen=True)
class Names:
    """Of the features of a file."""

    numbers: tuple[str, ...]
    words: tuple[str, ...] = ()


def typed(given: Mapping[str, str], names: Names) -> Group:
    """One row with these features; of the others numbers are 0 and words empty."""
    numbers = np.array([[float(given.get(name, 0)) for name in names.numbers]], np.float32)
    words = [[given.get(name, "") for name in names.words]]
    return Group("", np.zeros(1, np.float32), numbers, words)


def read(path: Path, like: Names | None = None) -> tuple[list[Group], Names]:
    """All groups of a file, and what its features are called; `like` those of the training file."""
    _, head = next(_lines(path))
    return _log(path, like) if QUERY in head.split("\t") else _sparse(path, like)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty; not splitlines, which cuts within words."""
    lines = io.StringIO(text.read(path), newline=None)
    return ((place, line.rstrip("\n")) for place, line in enumerate(lines, 1) if line.strip())


class Rankings:
    """The splits of a source: its files, or, where none is given, groups that are made up.

    `queries` are made to train on, half as many to validate on, and to test on.
    """

    def __init__(self, source: Data, queries: int) -> None:
        self.source, self.queries = source, queries

    def split(self, name: str) -> list[Group]:
        """Its groups; of a file that is cut, each goes where its query's hash says."""
        if name == "train":
            return self._train[0]
        if not splits.given(self.source):
            return made(-(-self.queries // 2), splits.SPLITS.index(name))
        file, cut = splits.chosen(self.source, name)
        return self._mine(read(file, self.names)[0], name, cut)

    @property
    def names(self) -> Names:
        """Of the features, as the training file has them."""
        return self._train[1]

    @functools.cached_property
    def highest(self) -> float:
        """Of the training labels, and at least 1."""
        return max(1.0, max(float(group.labels.max()) for group in self.split("train")))

    @functools.cached_property
    def _train(self) -> tuple[list[Group], Names]:
        if not splits.given(self.source):
            return made(self.queries, 0), MADE
        file, cut = splits.chosen(self.source, "train")
        groups, names = read(file)
        return self._mine(groups, "train", cut), names

    def _mine(self, groups: list[Group], name: str, cut: tuple[str, ...]) -> list[Group]:
        return splits.kept(groups, (group.query for group in groups), name, cut)


# ── libsvm ──


def _sparse(path: Path, like: Names | None) -> tuple[list[Group], Names]:
    rows = libsvm.read(path)
    for row in rows:
        if row.label < 0:
            found = f"{path}, line {row.line}: expected a label of 0 or more, found {row.label:g}"
            raise DataError(found, "labels say how relevant a row is: 0, 1, 2, …")
    names = like or Names(
        tuple(f"f{i}" for i in range(1 + max(int(row.features.max(initial=0)) for row in rows)))
    )
    ends = np.cumsum(_sizes(path, rows)).tolist()
    begins = [0, *ends[:-1]]
    groups = []
    for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        mine = rows[begin:end]
        labels = np.array([row.label for row in mine], np.float32)
        numbers = libsvm.dense(mine, len(names.numbers))
        groups.append(Group(mine[0].query or str(place), labels, numbers, [[] for _ in mine]))
    return groups, names


def _sizes(path: Path, rows: Sequence[libsvm.Row]) -> list[int]:
    """How many rows each group has: by the file of sizes beside it, or by the rows' own qid."""
    beside = path.with_name(f"{path.name}.query")
    if beside.exists():
        return _counts(beside, path, len(rows))
    without = next((row.line for row in rows if row.query is None), None)
    if without is not None:
        found = f"{path}, line {without}: no qid:, and there is no {beside.name} beside it"
        raise DataError(found, f"give {beside.name} with the size of each group on a line")
    queries = [row.query for row in rows]
    changes = [i for i in range(1, len(rows)) if queries[i] != queries[i - 1]]
    ends = [*changes, len(rows)]
    return [end - begin for begin, end in zip([0, *changes], ends, strict=True)]


def _counts(beside: Path, path: Path, rows: int) -> list[int]:
    counts = []
    for place, line in _lines(beside):
        if not line.strip().isdecimal() or not int(line):
            found = f"expected the size of a group, found {line.strip()!r}"
            raise DataError(f"{beside}, line {place}: {found}", "a whole number above 0")
        counts.append(int(line))
    if sum(counts) != rows:
        found = f"{beside} has groups of {sum(counts)} rows together, {path.name} has {rows} rows"
        raise DataError(found, "each line is the size of the next group")
    return counts


# ── click logs ──

Row = tuple[int, dict[str, str]]  # its line, and its cells by the names of their columns


def _log(path: Path, like: Names | None) -> tuple[list[Group], Names]:
    first, head, rows = _rows(path)
    names = like or _kinds([name for name in head if name not in (QUERY, CLICK)], rows)
    missing = {QUERY, CLICK, *names.numbers, *names.words} - set(head)
    if missing:
        raise _lacking(path, first, f"no column {', '.join(sorted(missing))}")
    if not names.numbers + names.words:
        raise _lacking(path, first, "no column of a feature")
    groups: dict[str, list[Row]] = {}
    for line, cells in rows:
        groups.setdefault(cells[QUERY], []).append((line, cells))
    return [_group(path, query, mine, names) for query, mine in groups.items()], names


def _lacking(path: Path, line: int, found: str) -> DataError:
    hint = "the first line names the columns: query, click and features"
    return DataError(f"{path}, line {line}: {found}", hint)


def _rows(path: Path) -> tuple[int, list[str], list[Row]]:
    """The line of the header, the header, and every row that is not empty."""
    lines = _lines(path)
    first, head = next(lines)
    names, rows = head.split("\t"), []
    for place, line in lines:
        cells = line.split("\t")
        if len(cells) != len(names):
            found = f"expected {len(names)} cells, found {len(cells)}"
            raise DataError(f"{path}, line {place}: {found}", "every row has those of the header")
        rows.append((place, dict(zip(names, cells, strict=True))))
    if not rows:
        raise DataError(f"{path} holds no row below its header", "query TAB click TAB features")
    return first, names, rows


def _kinds(features: list[str], rows: list[Row]) -> Names:
    """A column of numbers is numeric."""
    numbers = [name for name in features if all(number(row[name]) is not None for _, row in rows)]
    return Names(tuple(numbers), tuple(name for name in features if name not in numbers))


def _group(path: Path, query: str, rows: list[Row], names: Names) -> Group:
    def numbers(columns: Sequence[str]) -> NDArray[np.float32]:
        values = np.zeros((len(rows), len(columns)), np.float32)
        for at, (line, cells) in zip(values, rows, strict=True):
            for place, name in enumerate(columns):
                value = number(cells[name])
                if value is None or (name == CLICK and value < 0):
                    found = f"expected a number in column {name}, found {cells[name]!r}"
                    raise DataError(f"{path}, line {line}: {found}", "a click is 0 or 1")
                at[place] = value
        return values

    words = [[cells[name] for name in names.words] for _, cells in rows]
    return Group(query, numbers((CLICK,))[:, 0], numbers(names.numbers), words)


# ── made up ──

SOURCES = ("news", "shop", "forum", "video", "paper", "blog")
WORTH = (0.8, -0.4, -1.0, 0.4, 1.2, -0.8)  # of each source
MADE = Names(("fresh", "match", "length", "links", "noise"), ("source",))


def made(queries: int, seed: int) -> list[Group]:
    """Five to fifteen documents for each query, with labels from 0 to 4 by a known rule."""
    rng = np.random.default_rng(seed)
    return [_made(str(query), int(rng.integers(5, 16)), rng) for query in range(queries)]


def _made(query: str, rows: int, rng: np.random.Generator) -> Group:
    numbers = rng.random((rows, len(MADE.numbers)), np.float32)
    source = rng.integers(len(SOURCES), size=rows)
    words = [[SOURCES[i]] for i in source]
    worth = rule(numbers, words) + rng.normal(0, 0.7, rows)
    labels = np.digitize(worth, [0.6, 1.6, 2.6, 3.4]).astype(np.float32)
    return Group(query, labels, numbers, words)


def rule(numbers: NDArray[np.float32], words: list[list[str]]) -> NDArray[np.float64]:
    """What the labels of made-up documents are drawn about: lengths in the middle are best."""
    fresh, match, length, links, _ = numbers.T.astype(np.float64)
    worth = np.array([WORTH[SOURCES.index(source)] for (source,) in words])
    total: NDArray[np.float64] = (
        fresh + 2 * match + 1.5 * np.sin(np.pi * length) + (links > 0.7) + worth - 1
    )
    return total
