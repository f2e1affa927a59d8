"""A worker that also says what it imported: the entry of plans in tests/pool/test_spawn.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from turnaround import worker
from turnaround.spec import Assignment, Plan

IMPORTED = "imported-{rank}"  # in the run's folder: one module a line


def work(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """Carry the plan out."""
    before = set(sys.modules)
    code = worker.work(plan, assignment, send, listener)
    file = Path(assignment.folder) / IMPORTED.format(rank=assignment.rank)
    file.write_text("\n".join(sorted(set(sys.modules) - before)))
    return code
