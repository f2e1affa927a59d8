"""What came out of a sweep, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator

from turnaround.cli.views import units
from turnaround.cli.views.again import command, titled
from turnaround.cli.views.table import table
from turnaround.journal import Journal, Run
from turnaround.sweep.report import COLUMNS, Report, cost, made, rows, told

SHOWN = 10  # trials in the short form
SPARE = ("steps", "run", "why")
PASTED = ("asked", "run it")  # one line however long


def short(journal: Journal, run: Run) -> str:
    """The last words about a sweep, without what takes long."""
    found = made(journal, run.id)
    last = [titled("more", f"turnaround report {run.id}")]
    if not found.total <= len(found.lines) or found.status != "SUCCEEDED":
        last.append(titled("go on", f"turnaround sweep --resume {run.id}"))
    return "\n".join([*lines(found, SHOWN), *last])


def lines(found: Report, most: int) -> Iterator[str]:
    """The winner, what mattered, what it cost, and as many trials."""
    why = f": {found.reason}" if found.reason else ""
    yield f"{found.sweep} {found.status} after {units.duration(found.wall)}{why}; {found.headline}"
    yield ""
    for title, text in [*told(found), *cost(found)]:
        yield command(title, text) if title in PASTED else titled(title, text)
    if found.lines:
        yield ""
        yield table(COLUMNS, rows(found)[:most], SPARE)
        hidden = len(found.lines) - most
        yield f"and {hidden} more: turnaround report {found.sweep} --all" if hidden > 0 else ""
