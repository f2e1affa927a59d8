"""`turnaround ls --queue`: who waits, in which place, why, and until when.

    print(listed(journal, limit=20, as_json=False))

The scheduler says who is next, as it has them all in its memory; where none is up, runs stand as
they would be queued. Only those that are shown are looked at, so ten thousand cost no more than
twenty.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from turnaround.cli.views import outlook, units
from turnaround.cli.views.record import strict_json
from turnaround.cli.views.table import table
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.spec import Status

COLUMNS = ("place", "id", "name", "recipe", "devices", "priority", "sweep", "age", "starts", "why")
SPARE = ("recipe", "name", "priority", "age", "devices")  # on a narrow terminal, in this order
NO_POOL = "no pool is up: turnaround up"


@dataclass(frozen=True)
class Place:
    """One run that waits."""

    place: int  # from 1
    run: Run
    reason: str
    starts: Interval | None  # seconds; none when nobody can say


def listed(journal: Journal, limit: int, as_json: bool) -> str:
    """The queue in words, or as JSON."""
    now = time.time()
    found, count = places(journal, limit, now)
    if as_json:
        return strict_json({"count": count, "queue": [_told(place) for place in found]}, indent=1)
    if not found:
        return "nothing waits: turnaround ls lists all runs"
    said = table(COLUMNS, [_row(place, now) for place in found], SPARE)
    more = count - len(found)
    return f"{said}\n… and {more:,} more: --limit {count}" if more > 0 else said


def places(journal: Journal, limit: int, now: float) -> tuple[list[Place], int]:
    """The first of the queue, and how many wait in all."""
    order = Pool(journal.root).queue(limit)
    if order is None:
        count = journal.count(Status.QUEUED)
        order = dict.fromkeys(journal.first(limit), NO_POOL), count
    reasons, count = order
    rows = {run.id: run for run in journal.some(reasons)}
    runs = [rows[id] for id in reasons if id in rows]  # none that has begun meanwhile and is gone
    starts = outlook.waits(journal, now, runs)
    found = [
        Place(nth, run, reasons[run.id], starts.get(run.id)) for nth, run in enumerate(runs, 1)
    ]
    return found, count


def _row(place: Place, now: float) -> Sequence[str]:
    run = place.run
    return (
        f"{place.place:,}",
        run.id,
        run.name or "",
        run.recipe,
        f"{run.devices * run.asked.get('like', {}).get('share', 1):g}",
        str(run.priority or ""),
        run.tags.get("sweep", ""),
        units.age(now - run.submitted),
        outlook.soon(place.starts).removeprefix("starts ") if place.starts else "",
        place.reason,
    )


def _told(place: Place) -> dict[str, object]:
    run = place.run
    said: dict[str, object] = {
        "id": run.id,
        "name": run.name,
        "recipe": run.recipe,
        "sweep": run.tags.get("sweep"),
    }
    said |= {"devices": run.devices, "priority": run.priority, "submitted": run.submitted}
    starts = asdict(place.starts) if place.starts else None
    return {"place": place.place, **said, "reason": place.reason, "starts": starts}
