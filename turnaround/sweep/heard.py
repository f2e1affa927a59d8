"""What the runs of a sweep have said, each event file read once however much is asked of it.

heard = Heard(journal, "loss")
heard["lm-k3x9e"].seconds["compute"]      # device-seconds
heard["lm-k3x9e"].curve                   # (step, loss on the valid split)
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from turnaround.journal import Journal
from turnaround.ledger import settle
from turnaround.sweep import outcome


@dataclass(frozen=True)
class Told:
    """What the events of one run come to."""

    seconds: dict[str, float]  # times devices, by row of the ledger
    once: float  # their sum, less later starts; as if it had been trained by itself
    curve: list[tuple[int, float]]  # (step, score on the valid split)
    saved: list[int]  # steps of its checkpoints


class Heard(dict[str, Told]):
    """By run."""

    def __init__(self, journal: Journal, score: str) -> None:
        super().__init__()
        self._journal = journal
        self._score = score

    def __missing__(self, run: str) -> Told:
        events, rows = [*self._journal.events(run)], self._journal.runs("id=?", [run])
        account = settle(events, time.time(), outcome.devices(rows[0]) if rows else 1)
        later = [page.device_seconds for number, page in account.attempts.items() if number > 1]
        again = sum(page.get(row, 0.0) for page in later for row in outcome.STARTS)
        seconds = account.device_seconds
        once = (sum(seconds.values()) - again) * outcome.gain(events)
        saved = [event.data["step"] for event in events if event.kind == "checkpoint"]
        self[run] = told = Told(seconds, once, outcome.curve(events, self._score), saved)
        return told
