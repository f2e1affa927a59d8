"""A file of points: settings to try, line by line, each with every other word of the sweep.

    optim.lr,recipe.width      {"optim.lr": 0.1, "recipe.width": 64}
    0.1,64                     {"optim.lr": 0.01, "recipe.width": 128}
    0.01,128

    points = read(Path("points.csv"))

The first line of a .csv names the settings, and its cells are written as on the command line; a
.jsonl has an object in each line. Errors name the file and the line.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from turnaround import config
from turnaround.config import Axis
from turnaround.errors import ConfigError, PlanError
from turnaround.signature import canonical
from turnaround.sweep.question import Points

_Row = tuple[int, dict[str, Any]]  # its line, what it says


def read(file: Path) -> Points:
    """The points of a file; ConfigError where it is none."""
    way = {".csv": _csv, ".jsonl": _jsonl}.get(file.suffix.lower())
    if way is None:
        raise ConfigError(f"--points {file} is no .csv and no .jsonl", "one point in each line")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"--points {file}: there is no such file", "its path from here") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--points {file} cannot be read: {error}", "a text in UTF-8") from None
    rows = list(way(file.name, text))
    if not rows:
        raise ConfigError(f"{file.name} has no points", "one in each line, after the header")
    _compare(file.name, rows)
    return Points(file.name, [row for _, row in rows], [line for line, _ in rows])


def _csv(name: str, text: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    try:
        header = [key.strip() for key in next(reader, [])]
        _keys(name, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{name} line {reader.line_num}"
            if len(cells) != len(header):
                message = f"{where} has {len(cells)} cells, and the header {len(header)}"
                raise ConfigError(message, "quote a value that has a comma")
            pairs = zip(header, cells, strict=True)
            yield reader.line_num, {key: _value(where, key, cell.strip()) for key, cell in pairs}
    except csv.Error as error:
        raise ConfigError(f"{name} line {reader.line_num}: {error}", "close the quote") from None


def _keys(name: str, header: list[str]) -> None:
    if not any(header):
        raise ConfigError(f"{name} line 1 is empty", "the names of settings: optim.lr,seed")
    for key in header:
        if not key or "=" in key or header.count(key) > 1:
            message = f"{name} line 1: {key!r} names no setting, or one twice"
            raise ConfigError(message, "the names of settings: optim.lr,seed")


def _value(where: str, key: str, cell: str) -> Any:
    """What a word of the command line would say."""
    if not cell:
        raise ConfigError(f"{where} has no {key}", "every point says all of the settings")
    try:
        several = config.split([f"{key}=[{cell}],[]"], Path())[1]
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.hint) from None
    found = several[0].values[0] if several else [cell]
    if len(found) != 1:
        raise ConfigError(f"{where}: {key}={cell} has several values", "a point has one of each")
    return found[0]


def _jsonl(name: str, text: str) -> Iterator[_Row]:
    keys: set[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{name} line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{where} is no JSON: {error}", "an object in each line") from None
        if not isinstance(row, dict) or not row:
            raise ConfigError(f"{where} is no object of settings", '{"optim.lr": 0.1}')
        keys = keys or set(row)
        if odd := sorted(keys ^ set(row)):
            verb = "lacks" if odd[0] in keys else "also has"
            message = f"{where} {verb} {odd[0]}"
            raise ConfigError(message, "every point says all of the settings")
        yield number, row


def _compare(name: str, rows: list[_Row]) -> None:
    seen: dict[str, int] = {}
    for line, row in rows:
        before = seen.setdefault(canonical(row), line)
        if before != line:
            raise ConfigError(f"{name} line {line} says what line {before} does", "leave it out")


# ── in a question ──


def columns(points: Points | None, words: list[str]) -> list[Axis]:
    """The settings that the file names; ConfigError where a word says one of them too."""
    if points is None:
        return []
    said = {word.lstrip("+").partition("=")[0]: word for word in words}
    for key in points.rows[0]:
        if key in said:
            message = f"{points.file} says {key}, and so does {said[key]}"
            raise ConfigError(message, "one of them")
    return [Axis(key, _distinct(row[key] for row in points.rows)) for key in points.rows[0]]


def _distinct(values: Iterator[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if all(type(value) is not type(known) or value != known for known in found):
            found.append(value)
    return found


def fitted(points: Points, raw: list[Axis], axes: list[Axis]) -> Points:
    """With values of the settings' types."""
    rows = [dict(row) for row in points.rows]
    for before, axis in zip(raw, axes, strict=True):
        for row in rows if axis.key in points.rows[0] else ():
            row[axis.key] = axis.values[_place(before.values, row[axis.key])]
    return replace(points, rows=rows)


def _place(values: list[Any], value: Any) -> int:
    same = (type(known) is type(value) and known == value for known in values)
    return next(place for place, found in enumerate(same) if found)


@contextlib.contextmanager
def blamed(points: Points | None) -> Iterator[None]:
    """What is refused of a point is said with its line."""
    try:
        yield
    except (ConfigError, PlanError) as error:
        where = points and _line(points, error.message)
        if points is None or where is None or error.message.startswith(points.file):
            raise
        kind = PlanError if isinstance(error, PlanError) else ConfigError
        raise kind(f"{points.file} line {where}: {error.message}", error.hint) from None


def _line(points: Points, message: str) -> int | None:
    """The line of which most is quoted; the first one where it is a name."""
    found = [_quoted(row, message) for row in points.rows]
    if any(found):
        return points.lines[found.index(max(found))]
    return 1 if any(key in message for key in points.rows[0]) else None


def _quoted(row: dict[str, Any], message: str) -> int:
    ways = ((config.written(*pair), "=".join(map(str, pair))) for pair in row.items())
    return sum(
        any(re.search(re.escape(word) + r"(?![\w.])", message) for word in words) for words in ways
    )
