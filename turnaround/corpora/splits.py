"""Which file a split is read from, and which of its examples are held out.

    file, cut = chosen(Data(path="rows.csv"), "valid")     # rows.csv, ("valid", "test")
    mine = kept(rows, keys, "valid", cut)                  # the tenth whose keys hash to valid
    whole(data, mine, "rows")                              # where every step is to see them all

An example goes where the hash of its key says, whatever stands before it in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from turnaround.errors import ConfigError, DataError
from turnaround.spec import Data

SPLITS = ("train", "valid", "test")
HELD_OUT = ("valid", "test")  # what is cut from the one file when it has no file of its own
SHARE = 0.1  # of the examples go to each of them
T = TypeVar("T")


def given(data: Data) -> bool:
    """Whether any file is named; if none is, a recipe makes its data up."""
    return any(data.paths().values())


def none(data: Data, recipe: str, instead: str) -> None:
    """Refuse files where a recipe reads none."""
    if given(data):
        raise ConfigError(
            f"recipe={recipe} reads no files: {instead}",
            "leave data.path, data.train, data.valid and data.test away",
        )


def chosen(data: Data, name: str) -> tuple[Path, tuple[str, ...]]:
    """The file that split `name` is in, and the splits that are cut from it; none: it is whole."""
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
    if name != "train" and own[name]:
        return Path(file), ()
    return Path(file), tuple(part for part in HELD_OUT if not own[part])


def kept(
    items: Sequence[T], keys: Iterable[str], name: str, cut: tuple[str, ...], share: float = SHARE
) -> list[T]:
    """Those of the items that belong to split `name`, of whom a share is cut for each of `cut`."""
    if not cut:
        return list(items)
    mine = [item for item, key in zip(items, keys, strict=True) if part(key, cut, share) == name]
    if not mine:
        raise DataError(
            f"{len(items)} examples are too few to cut a {name} split from",
            f"give data.{name}=… a file of its own",
        )
    return mine


def tenths(items: Sequence[T], name: str, cut: tuple[str, ...], more: str) -> list[T]:
    """Those of the items, in their order of time, of whom the last of each ten are held out.

    `more` says what makes more of them, where they are too few.
    """
    where = dict(zip((8, 9), cut, strict=False))
    mine = [item for i, item in enumerate(items) if not cut or where.get(i % 10, "train") == name]
    if not mine:
        raise DataError(
            f"{len(items)} stretches of time are too few to cut a {name} split from",
            f"{more}, or data.{name}=… a file of its own",
        )
    return mine


def part(key: str, cut: tuple[str, ...], share: float = SHARE) -> str:
    """Where the example of that key belongs."""
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    where = HELD_OUT[int(place / share)] if place < share * len(HELD_OUT) else "train"
    return where if where in cut else "train"


def whole(data: Data, training: list[T], kind: str) -> list[T]:
    """All training examples, of which there must be those of one batch: a step may see them all."""
    if data.batch > len(training) and not data.whole:
        found = f"data.batch={data.batch} is more than the {len(training)} {kind}"
        raise DataError(found, "data.batch=all shows every step all of them")
    return training
