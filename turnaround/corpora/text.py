"""Plain text from files: any length, UTF-8, gzipped or not, cut into splits by position.

    read(Path("shakespeare.txt"))                     # all of it, to the last line end
    split(Data(path="shakespeare.txt"), "valid")      # the 5 % after the first 90

What is not UTF-8 is an error that names the file, the line and the byte.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from turnaround.corpora import splits
from turnaround.errors import DataError, near
from turnaround.spec import Data

SHARE = 20  # what is cut from the end is a twentieth
GZIP = b"\x1f\x8b"
MARK = "\ufeff"


def split(data: Data, name: str) -> str:
    """The text of `train`, `valid` or `test`: its own file, or a piece of the only one.

    By position, not by a hash of its lines: what is held out should go on where training ended,
    and a window should never hold two lines that did not follow each other.
    """
    file, cut = splits.chosen(data, name)
    whole = read(file)
    if name != "train" and not cut:
        return whole
    piece = len(whole) // SHARE
    end = len(whole) - piece * len(cut)  # of what is trained on
    start = end + piece * cut.index(name) if name in cut else 0
    return whole[start : start + piece] if name in cut else whole[:end]


def read(path: Path) -> str:
    """The text of a file, without the mark that some editors put before it."""
    content = _content(path)
    try:
        text = content.decode()  # not utf-8-sig, which counts bytes from after the mark
    except UnicodeDecodeError as error:
        raise _misencoded(path, content, error.start) from None
    text = text.removeprefix(MARK)
    if "\0" in text:
        raise _misencoded(path, content, content.index(b"\0"))
    if not text.strip():
        raise DataError(f"{path} is empty", "give a file of plain text")
    return text


def _misencoded(path: Path, content: bytes, place: int) -> DataError:
    line = content.count(b"\n", 0, place) + 1
    found = f"byte 0x{content[place]:02x} at offset {place}"
    kind = "UTF-16" if b"\0" in content else "LATIN1"
    return DataError(
        f"{path}, line {line}: expected UTF-8, found {found}",
        f"convert it: iconv -f {kind} -t UTF-8 {path.name} (or whatever it is in)",
    )


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked if they are gzipped (whatever it is called)."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except FileNotFoundError:
        raise _absent(path) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder", "name a file in it") from None
    except (OSError, EOFError, zlib.error) as error:  # BadGzipFile is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"{path} cannot be read: {reason}", "see that it is whole and yours"
        ) from None


def _absent(path: Path) -> DataError:
    where = path.absolute().parent
    if not where.is_dir():
        return DataError(f"{path} is not there, and neither is the folder {where}", "see data.path")
    names = [entry.name for entry in where.iterdir() if entry.is_file()]
    return DataError(f"{path} is not there", near(path.name, names))
