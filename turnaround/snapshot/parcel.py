"""Folders as bytes, for machines that share no disk.

    data = pack(home / "snapshots" / hash)          # a tar
    unpack(data, there / "snapshots" / hash)        # whole or not at all; links and devices refused
    packed_data(plan.data, "10.0.0.7")              # the files that a plan names, if they are small

Larger data have to be on each machine already, at the same path and with the same content.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from turnaround.errors import DataError
from turnaround.snapshot.digest import files_of
from turnaround.spec import Data

MOST = 64 * 2**20  # bytes of data that travel with a run; code may be as much


def pack(folder: Path) -> bytes:
    """Every file below the folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return _tar({str(path.relative_to(folder)): path for path in found})


def unpack(data: bytes, folder: Path) -> None:
    """The files, in a folder that is new; if it is there already, as it is."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as fresh:
        whole = Path(fresh, "whole")
        whole.mkdir()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            tar.extractall(whole, filter="data")
        try:
            whole.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody else was first, with the same content
                raise


def packed_data(data: Data, machine: str) -> bytes:
    """The files that `data` names, each below the name of its split; DataError if too large."""
    files = {
        f"{split}/{file.relative_to(Path(path).parent)}": file
        for split, path in data.paths().items()
        if path
        for file in files_of(Path(path), f"data.{split}={path}")
    }
    size = sum(file.stat().st_size for file in files.values())
    if size > MOST:
        named = ", ".join(str(file) for file in files.values())
        message = f"{named} ({size / 2**20:.0f} MiB) is not on machine {machine}, or differs there"
        hint = f"copy it there, to the same path; up to {MOST // 2**20} MiB travel with the run"
        raise DataError(message, hint)
    return _tar(files)


def unpacked_data(data: Data, folder: Path) -> dict[str, str]:
    """Where each split's path is, once `packed_data` was unpacked in `folder`."""
    given = {split: Path(path) for split, path in data.paths().items() if path}
    return {split: str(folder / split / path.name) for split, path in given.items()}


def _tar(files: Mapping[str, Path]) -> bytes:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        for name, path in files.items():
            tar.add(path.resolve(), name, recursive=False)
    return room.getvalue()
