"""The content of files as hashes, each computed once.

digests = Digests(home / "cache" / "data.json")
digests.of(Path("corpus.tsv"))     # read once, then known by path, size and time of change
digests.save()
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from turnaround.errors import DataError, near
from turnaround.signature import signature
from turnaround.spec import Data

SETTLED = 2_000_000_000  # ns; what changed later could change again within the grain of its time


class Digests:
    """SHA-256 of files, remembered in a small JSON file; what is not asked for is forgotten."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._asked: dict[str, list[int | str]] = {}
        try:
            self._known: dict[str, list[int | str]] = json.loads(cache.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def of(self, file: Path) -> str:
        """The file's digest; OSError when it cannot be read."""
        found = file.stat()
        stamp: list[int | str] = [found.st_size, found.st_mtime_ns, found.st_ino]
        known = self._known.get(str(file))
        if known is None or known[:3] != stamp:
            with file.open("rb") as opened:
                known = [*stamp, hashlib.file_digest(opened, "sha256").hexdigest()]
        if time.time_ns() - found.st_mtime_ns > SETTLED:
            self._asked[str(file)] = known
        return str(known[3])

    def save(self) -> None:
        """Remember; a cache that cannot be written is no harm."""
        if self._asked == self._known:
            return
        fresh = self._cache.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self._cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(json.dumps(self._asked))
            fresh.replace(self._cache)


def fingerprint(data: Data, project: Path, home: Path) -> str:
    """The hash of the content of every file that `data` names; "" when it names none."""
    named = {split: path for split, path in data.paths().items() if path}
    if not named:
        return ""
    digests = Digests(home / "cache" / f"data-{signature([str(project), named])}.json")
    found = {split: _digest(path, split, project, digests) for split, path in named.items()}
    digests.save()
    return signature(found)


def _digest(text: str, split: str, project: Path, digests: Digests) -> dict[str, str]:
    """The digest of the file, or of each parallel file by its suffix, or of each in the folder."""
    path = project / Path(text).expanduser()
    found = {}
    for file in files_of(path, f"data.{split}={text}"):
        try:
            if not (file.stat().st_size or path.is_dir()):
                raise DataError(f"data.{split}={text}: {file} is empty", "give it an example")
            found[str(file).removeprefix(str(path))] = digests.of(file)
        except OSError as error:
            message = f"data.{split}={text}: {file} cannot be read ({error.strerror})"
            raise DataError(message, "check its permissions") from None
    return found


def _names(folder: Path) -> set[str]:
    """What is there, parallel files by what their names have in common: `corpus`."""
    there = [path for path in folder.glob("*") if not path.name.startswith(".")]
    stems = [path.stem for path in there if path.is_file()]
    return {path.stem if stems.count(path.stem) > 1 else path.name for path in there}


def files_of(path: Path, asked: str) -> list[Path]:
    """The file, all in the folder, or the parallel `corpus.en`, `corpus.fr` of `corpus`."""
    if path.is_file():  # and the sizes of its groups, where rows come in groups to be ranked
        sizes = path.with_name(f"{path.name}.query")
        return [path, sizes] if sizes.is_file() else [path]
    below = path.rglob("*") if path.is_dir() else path.parent.glob(f"{glob.escape(path.name)}.*")
    found = sorted(file for file in below if file.is_file())
    if not found:
        if path.is_dir():
            raise DataError(f"{asked}: {path} is an empty folder", "name a file, or fill it")
        hint = near(path.name, _names(path.parent), otherwise="paths start at the project")
        raise DataError(f"{asked}: {path} is not there", hint)
    return found
