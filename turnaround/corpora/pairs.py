"""Pairs of sentences from files: tab-separated or parallel, gzipped or not, cut into splits.

    read(Path("pairs.tsv"))                       # source TAB target; further columns are ignored
    read(Path("corpus"), ("en", "fr"))            # line n of corpus.en with line n of corpus.fr
    split(Data(path="pairs.tsv"), "valid")        # a share of one file, by a hash of the source

UTF-8 throughout. A row that is not as it should be is an error that names the file and the line;
nothing is skipped but pairs of two empty lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from turnaround.corpora import splits, text
from turnaround.errors import DataError
from turnaround.spec import Data

SHARE = 0.05  # of the sources go to each of valid and test,
MOST = 2000  # but not more than about so many pairs
SHOWN = 60  # characters of a malformed row


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def split(data: Data, name: str, languages: tuple[str, str] = ("en", "fr")) -> list[Pair]:
    """The pairs of `train`, `valid` or `test`: from its own file, or cut from the only one."""
    file, cut = splits.chosen(data, name)
    pairs = read(file, languages)
    # All translations of a sentence stay together, whatever the order.
    return splits.kept(pairs, (p.source for p in pairs), name, cut, min(SHARE, MOST / len(pairs)))


def read(path: Path, languages: tuple[str, str] = ("en", "fr")) -> list[Pair]:
    """All pairs of a tab-separated file, or of the two files whose names begin with `path`."""
    sides = [_side(path, language) for language in languages]
    # Neither is read then: a run would be named by the content of the folder, not of the files.
    if path.is_dir() and all(side.exists() for side in sides):
        both = " and ".join(side.name for side in sides)
        raise DataError(f"{path} is a folder, with {both} beside it", "rename the folder or those")
    if path.exists() or not any(side.exists() for side in sides):
        pairs = table(path, Pair._fields)
    else:
        pairs = _parallel(*sides)
    if not pairs:
        raise DataError(f"{path} holds no pair of sentences", "a row is: source TAB target")
    return pairs


def _side(prefix: Path, language: str) -> Path:
    """`corpus.en`, or `corpus.en.gz` where only that is there."""
    plain = prefix.with_name(f"{prefix.name}.{language}")
    zipped = plain.with_name(f"{plain.name}.gz")
    return zipped if zipped.exists() and not plain.exists() else plain


def table(path: Path, names: tuple[str, str]) -> list[Pair]:
    """The rows of a tab-separated file; `names` is what its columns are called in an error."""
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) < 2 or not all(columns[:2]):
            found = "an empty side" if len(columns) > 1 else "no tab"
            raise DataError(
                f"{path}, line {number}: expected {names[0]} TAB {names[1]}, found "
                f"{found}: {line[:SHOWN]!r}",
                f"a line is one pair: {names[0]} and {names[1]} with a tab between them",
            )
        pairs.append(Pair(columns[0], columns[1]))
    return pairs


def _parallel(source: Path, target: Path) -> list[Pair]:
    sources, targets = _lines(source), _lines(target)
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources)} lines and {target} has {len(targets)}",
            "line n of the one must be the translation of line n of the other",
        )
    pairs = [Pair(a.strip(), b.strip()) for a, b in zip(sources, targets, strict=True)]
    for number, pair in enumerate(pairs, start=1):
        if bool(pair.source) != bool(pair.target):
            here, other = (target, pair.source) if pair.source else (source, pair.target)
            raise DataError(
                f"{here}, line {number}: expected a sentence, found nothing; "
                f"the other file has {other[:SHOWN]!r}",
                "fill the line, or leave it out of both files",
            )
    return [pair for pair in pairs if pair.source]


def _lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text, without their ends."""
    # Not splitlines: a sentence may hold U+2028 or U+0085, and the sides would come apart.
    lines = text.read(path).split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
