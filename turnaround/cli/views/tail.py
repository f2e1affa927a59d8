"""The end of a run's event file, and what is added to it."""

from __future__ import annotations

from pathlib import Path

from turnaround.cli.views.outlook import forecast
from turnaround.cli.views.progress import Progress
from turnaround.journal import Journal, Run, read_events
from turnaround.spec import Budget, Event

REACH = 1 << 20  # bytes of the past that are read: the last 5,000 events or so, in 20 ms


class Tail:
    """Events of one file, each once, from `offset` on."""

    def __init__(self, file: Path, offset: int = 0) -> None:
        self.file = file
        self.offset = offset

    def news(self) -> list[Event]:
        """What was added since the last call."""
        found = list(read_events(self.file, self.offset))
        self.offset = found[-1][1] if found else self.offset
        return [event for event, _ in found]


def tail(journal: Journal, run: str, reach: int = REACH) -> Tail:
    """A tail that begins `reach` bytes before the end; a line that it cuts is passed over."""
    file = journal.folder(run) / "events.jsonl"
    size = file.stat().st_size if file.exists() else 0
    return Tail(file, max(0, size - reach))


def latest(
    journal: Journal, run: Run, budget: Budget | None = None, reach: int = REACH
) -> Progress:
    """What the run's last events add up to."""
    progress = Progress(budget or Budget(), forecast(journal, run))
    for event in tail(journal, run.id, reach).news():
        progress.add(event)
    progress.status, progress.reason = run.status, run.reason
    return progress
