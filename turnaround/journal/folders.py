"""Where runs keep what they have on disk, and files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from turnaround.errors import JournalError


def home() -> Path:
    """`$TURNAROUND_HOME`, or the user's state folder."""
    if asked := os.environ.get("TURNAROUND_HOME"):
        return Path(asked).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "turnaround"


def write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def fork(runs: Path, source: str, folder: Path) -> None:
    """Checkpoints of another run, up to a step, are this one's too: links, no copies."""
    run, _, step = source.partition("@")
    there, here = runs / run / "checkpoints", folder / "checkpoints"
    last = f"step-{int(step):08d}"
    best = [p.name for p in there.glob("best-????????") if p.name[5:] <= last[5:]]
    if not (there / last).is_dir():
        raise JournalError(f"run {run} has no checkpoint of step {step} any more")
    for name in (last, *best):
        shutil.copytree(there / name, here / name, copy_function=os.link)
