"""A run as one JSON object: the same in `run`, `ls` and `show`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from turnaround.cli.views.progress import Progress
from turnaround.journal import Journal, Run

_OURS = ("owner", "stopping", "recorded", "asked", "cost")  # how the control side keeps its books


def record(journal: Journal, run: Run, progress: Progress) -> dict[str, Any]:
    """The journal's row, how far the run is, what is ahead of it, its newest scores, its folder."""
    row = {name: value for name, value in asdict(run).items() if name not in _OURS}
    row["summary"] = run.summary or progress.summary
    told = {"step": progress.step, "steps": progress.steps, "examples": progress.examples}
    ahead = {"wait": progress.wait, "left": progress.left(time.time())}
    coming = {name: asdict(seconds) if seconds else None for name, seconds in ahead.items()}
    return {
        **row,
        **told,
        **coming,
        "values": progress.values,
        "folder": str(journal.folder(run.id)),
    }
