"""A run as one JSON object: the same in `run`, `ls` and `show`; and all that is JSON for a script.

print(strict_json(record(journal, run, progress)))      # null where a score is not finite
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
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


def strict_json(found: object, indent: int | None = None) -> str:
    """What `--json` prints: JSON knows neither NaN nor Infinity, so that these are null."""
    return json.dumps(_finite(found), indent=indent, allow_nan=False)


def _finite(found: object) -> object:
    """The same, without numbers that JSON does not know."""
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, Mapping):
        return {key: _finite(value) for key, value in found.items()}
    return [_finite(value) for value in found] if isinstance(found, list | tuple) else found
