"""Pairs of sentences from files: tab-separated or parallel, gzipped or not, cut into splits.

    read(Path("pairs.tsv"))                       # source TAB target; further columns are ignored
    read(Path("corpus"), ("en", "fr"))            # line n of corpus.en with line n of corpus.fr
    split(Data(path="pairs.tsv"), "valid")        # a share of one file, by a hash of the source

UTF-8 throughout. A row that is not as it should be is an error that names the file and the line;
nothing is skipped but pairs of two empty lines.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import NamedTuple

from turnaround.errors import DataError, near
from turnaround.spec import Data

HELD_OUT = ("valid", "test")  # what is cut from the one file when it has no file of its own
SHARE = 0.05  # of the sources go to each of them,
MOST = 2000  # but not more than about so many pairs
GZIP = b"\x1f\x8b"
SHOWN = 60  # characters of a malformed row


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


def split(data: Data, name: str, languages: tuple[str, str] = ("en", "fr")) -> list[Pair]:
    """The pairs of `train`, `valid` or `test`: from its own file, or cut from the only one."""
    own = {"train": data.train, "valid": data.valid, "test": data.test}
    if data.path and any(own.values()):
        given = next(key for key, path in own.items() if path)
        raise DataError(
            f"data.path={data.path} and data.{given}={own[given]} are both given",
            "name one file to be cut in three (data.path), or one for each split",
        )
    file = own[name] or data.path or data.train
    if file is None:
        raise DataError(f"no file for the {name} split", f"give data.{name}=… or data.path=…")
    pairs = read(Path(file), languages)
    if name != "train" and own[name]:
        return pairs
    cut = [part for part in HELD_OUT if not own[part]]
    share = min(SHARE, MOST / len(pairs))
    kept = [pair for pair in pairs if _part(pair.source, cut, share) == name]
    if not kept:
        raise DataError(
            f"{file} has {len(pairs)} pairs, too few to cut a {name} split from",
            f"give data.{name}=… a file of its own",
        )
    return kept


def _part(source: str, cut: list[str], share: float) -> str:
    """Where a pair belongs. All translations of a sentence stay together, whatever the order."""
    place = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") / 2**64
    where = HELD_OUT[int(place / share)] if place < share * len(HELD_OUT) else "train"
    return where if where in cut else "train"


def read(path: Path, languages: tuple[str, str] = ("en", "fr")) -> list[Pair]:
    """All pairs of a tab-separated file, or of the two files whose names begin with `path`."""
    sides = [_side(path, language) for language in languages]
    if path.exists() or not any(side.exists() for side in sides):
        pairs = _table(path)
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


def _table(path: Path) -> list[Pair]:
    pairs = []
    for number, line in enumerate(_lines(path), start=1):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) < 2 or not all(columns[:2]):
            found = "an empty side" if len(columns) > 1 else "no tab"
            raise DataError(
                f"{path}, line {number}: expected source TAB target, found {found}: "
                f"{line[:SHOWN]!r}",
                "a line is one pair: two sentences with a tab between them",
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
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _misencoded(path, line, f"byte 0x{content[error.start]:02x}") from None
    if "\0" in text:
        raise _misencoded(path, text.count("\n", 0, text.index("\0")) + 1, "a zero byte")
    # Not splitlines: a sentence may hold U+2028 or U+0085, and the sides would come apart.
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def _misencoded(path: Path, line: int, found: str) -> DataError:
    return DataError(
        f"{path}, line {line}: expected UTF-8, found {found}",
        f"convert it: iconv -f LATIN1 -t UTF-8 {path.name} (or whatever it is in)",
    )


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked if they are gzipped (whatever it is called)."""
    try:
        content = path.read_bytes()
        unpacked = gzip.decompress(content) if content.startswith(GZIP) else content
    except FileNotFoundError:
        raise _absent(path) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder", "name a file in it") from None
    except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path} cannot be read: {reason}", "see that it is whole and yours"
        ) from None
    if not unpacked.strip():
        raise DataError(f"{path} is empty", "a row is: source TAB target")
    return unpacked


def _absent(path: Path) -> DataError:
    where = path.absolute().parent
    if not where.is_dir():
        return DataError(f"{path} is not there, and neither is the folder {where}", "see data.path")
    names = [entry.name for entry in where.iterdir() if entry.is_file()]
    return DataError(f"{path} is not there", near(path.name, names))
