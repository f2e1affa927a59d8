"""`turnaround gc`: free the space that no run needs."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from turnaround.cli.views import units
from turnaround.errors import JournalError
from turnaround.journal import Journal, home

YOUNG = 3600.0  # seconds: what is newer may belong to a submit that is under way
LEFTOVERS = ("*.new", "snapshots/.new-*", "runs/*/*.new", "runs/*/checkpoints/.unfinished-*")


@dataclass(frozen=True)
class Waste:
    """Something that no run needs."""

    path: Path
    what: str
    bytes: int


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be freed.")
    ] = False,
) -> None:
    """Delete snapshots that no run uses, and what deleted runs and killed processes left.

    \b
    turnaround gc --dry-run
    turnaround gc
    """
    root = home()
    freed = 0
    for waste in _waste(root, time.time()):
        freed += waste.bytes
        typer.echo(f"{units.size(waste.bytes):>8}  {waste.what}  {units.short(waste.path)}")
        if not dry_run:
            _delete(waste.path)
    typer.echo(
        f"{units.size(freed)} {'could be freed' if dry_run else 'freed'} in {units.short(root)}"
    )
    with suppress(JournalError):  # a full disk is what this is for, and the journal wants to write
        if strangers := _strangers(root):
            place = f"in {units.short(root / 'runs')} but not in the journal"
            typer.echo(f"kept: {', '.join(strangers)}: {place}")


def used(path: Path) -> int:
    """Bytes below `path`; what vanishes meanwhile counts as nothing."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(_bytes(file) for file in files)


def _bytes(file: Path) -> int:
    try:
        return 0 if file.is_dir() else file.lstat().st_size
    except OSError:
        return 0


def _waste(root: Path, now: float) -> Iterator[Waste]:
    needed = _needed_snapshots(root)
    for path in sorted((root / "snapshots").glob("[!.]*")):
        if path.name not in needed and _old(path, now):
            yield Waste(path, "snapshot", used(path))
    for path in sorted((root / "runs").glob(".gone-*")):
        yield Waste(path, "deleted run", used(path))
    for pattern in LEFTOVERS:
        for path in sorted(root.glob(pattern)):
            if _old(path, now):
                yield Waste(path, "temporary", used(path))


def _needed_snapshots(root: Path) -> set[str]:
    """Named by any plan on disk, known to the journal or not."""
    needed = set()
    for plan in (root / "runs").glob("[!.]*/plan.json"):
        with suppress(OSError, ValueError, KeyError):  # one torn by a crash
            needed.add(json.loads(plan.read_text())["place"]["snapshot"])
    for sweep in (root / "runs").glob("[!.]*/sweep.json"):  # for trials that are still to come
        with suppress(OSError, ValueError, KeyError):
            stems = json.loads(sweep.read_text())["stems"]
            needed |= {stem["facts"]["place"]["snapshot"] for stem in stems}
    return needed


def _old(path: Path, now: float) -> bool:
    try:
        return now - path.lstat().st_mtime > YOUNG
    except OSError:
        return False


def _strangers(root: Path) -> list[str]:
    """Run folders that the journal does not know; it can be made anew from them, so they stay."""
    known = {run.id for run in Journal(root).runs(limit=1_000_000)}
    return sorted(path.name for path in (root / "runs").glob("[!.]*") if path.name not in known)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
