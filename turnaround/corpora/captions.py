"""Images with captions, from a table: image TAB caption, or JSON lines of {"image", "caption"}.

    found = split(Data(path="holidays"), "train")      # holidays/captions.tsv, holidays/1.jpg, …
    found[0].text, found[0].references                 # its caption, and all of the same image
    pixels(found[0], size=64)                          # (3, 64, 64)

Paths of images start where the table is, which may be gzipped. An image may have several captions,
a row for each; they stay together when splits are cut, wherever the folder lies. A row that is not
as it should be is an error that names the file and the line; so is an image that is not there or
cannot be read.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from turnaround.corpora import images, splits, text
from turnaround.corpora.images import Pixels
from turnaround.errors import DataError, near
from turnaround.spec import Data

TABLES = (".tsv", ".jsonl")
ZIPPED = (".tsv.gz", ".jsonl.gz")  # read where none of the others is
SHOWN = 60  # characters of a malformed row


class Captioned(NamedTuple):
    """An image and one of its captions."""

    image: Path
    text: str
    references: list[str]  # every caption of the image
    row: str  # file and line


def split(data: Data, name: str) -> list[Captioned]:
    """The captions of `train`, `valid` or `test`; what has no file of its own is cut from train."""
    path, cut = splits.chosen(data, name)
    found = read(path)
    folder = path if path.is_dir() else path.parent
    return splits.kept(found, [_key(one.image, folder) for one in found], name, cut)


def _key(image: Path, folder: Path) -> str:
    """Its path from the table on: the data may lie in another place on another machine."""
    whole, start = image.absolute(), folder.absolute()
    return (whole.relative_to(start) if whole.is_relative_to(start) else whole).as_posix()


def read(path: Path) -> list[Captioned]:
    """Every row of a table, or of the only table in a folder."""
    table = _table(path) if path.is_dir() else path
    lines = text.read(table).removesuffix("\n").split("\n")
    rows = [_row(table, n, line.removesuffix("\r")) for n, line in enumerate(lines, 1)]
    references: defaultdict[Path, list[str]] = defaultdict(list)
    for image, caption, _ in rows:
        references[image].append(caption)
    return [Captioned(image, caption, references[image], row) for image, caption, row in rows]


def pixels(captioned: Captioned, size: int) -> Pixels:
    """The image squeezed into a square: (3, size, size)."""
    try:
        return images.pixels(captioned.image, size)
    except DataError as error:
        raise DataError(f"{captioned.row}: {error.message}", error.hint) from None


def _table(folder: Path) -> Path:
    there = sorted(folder.iterdir())
    plain = [file for file in there if file.name.endswith(TABLES)]
    found = plain or [file for file in there if file.name.endswith(ZIPPED)]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DataError(
            f"{folder} should hold one table of captions (.tsv or .jsonl), found {names}",
            "name the table itself: data.path=…/captions.tsv",
        )
    return found[0]


def _row(table: Path, number: int, line: str) -> tuple[Path, str, str]:
    row = f"{table}, line {number}"
    parts = _json if table.name.removesuffix(".gz").endswith(".jsonl") else _tabbed
    image, caption = parts(row, line)
    file = table.parent / image
    # Of os: pathlib's raises an OSError for what is too long to be a name, as a caption may be.
    if not os.path.isfile(file):
        where = file.parent
        names = [entry.name for entry in where.iterdir()] if os.path.isdir(where) else []
        raise DataError(f"{row}: there is no image {file}", near(file.name, names))
    return file, caption, row


def _tabbed(row: str, line: str) -> tuple[str, str]:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) < 2 or not all(columns[:2]):
        found = "an empty side" if len(columns) > 1 else "no tab"
        raise DataError(
            f"{row}: expected image TAB caption, found {found}: {line[:SHOWN]!r}",
            "a line is the path of an image, a tab and its caption",
        )
    return columns[0], columns[1]


def _json(row: str, line: str) -> tuple[str, str]:
    hint = 'a line is {"image": "1.jpg", "caption": "Two dogs."}'
    try:
        found = json.loads(line)
    except ValueError as error:
        raise DataError(f"{row}: expected JSON, found {line[:SHOWN]!r} ({error})", hint) from None
    given = [found.get(key) if isinstance(found, dict) else None for key in ("image", "caption")]
    image, caption = (part.strip() if isinstance(part, str) else "" for part in given)
    if not (image and caption):
        message = f"{row}: expected texts for image and caption, found {line[:SHOWN]!r}"
        raise DataError(message, hint)
    return image, caption
