"""What every launcher does first: freeze the code, so that no later edit changes a queued run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from turnaround import snapshot
from turnaround.spec import Plan


def frozen(plan: Plan, recipe_file: Path, home: Path) -> Plan:
    """The plan, with its code stored below `home` and named by the snapshot's hash."""
    kept = snapshot.freeze(Path(plan.place.project), recipe_file, home)
    place = replace(plan.place, snapshot=kept.hash, git_sha=kept.git_sha, dirty=kept.dirty)
    return replace(plan, place=place)
