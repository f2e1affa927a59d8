"""Where a run's wall-clock time went, in rows that add up: from key press to recorded answer.

    account = settle(journal.events(run), now=time.time(), devices=2)
    account.rows                  # {"cli": 0.21, "queue": 0.01, …, "other": 0.02}, in seconds
    account.total                 # their sum: the time from key press to recorded answer

Spans come from the launcher, the pool and the loop, never from user code. A moment belongs to one
row. The pause between a stop and a resume is nobody's time and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from turnaround.spec import Event, Status

# In the order in which a run meets them.
ROWS = {
    "cli": "starting the command line, reading its words",
    "plan": "configuration, facts, plan",
    "snapshot": "freezing code and environment",
    "pool": "starting the pool, or finding it",
    "queue": "waiting for devices",
    "place": "from the scheduler's decision to the fork",
    "spawn": "from the fork to the worker's first line",
    "import": "the recipe's own imports",
    "rendezvous": "workers finding each other",
    "build": "data, vocabulary, model, a first try",
    "data": "waiting for a batch",
    "compute": "forward and backward",
    "communicate": "waiting for other ranks, where compute did not hide it",
    "optimize": "clipping and the optimizer's step",
    "checkpoint": "the loop held up by saving",
    "evaluate": "scores on the valid split",
    "log": "the loop held up by reporting",
    "replay": "steps done again after a fault",
    "recover": "from a fault to the first new step",
    "finish": "test split, samples, the answer on its way to journal and MLflow",
    "other": "what no row claims",
}
_BEFORE = ("cli", "plan", "snapshot", "pool", "queue", "place")  # no device is held yet
_STEPS = ("data", "compute", "communicate", "optimize", "log", "other")  # what a step is made of
_START = ("spawn", "import", "rendezvous", "build")  # what an attempt begins with


@dataclass(frozen=True)
class Account:
    """Seconds by row."""

    rows: dict[str, float]
    devices: int = 1

    @property
    def total(self) -> float:
        """From key press to recorded answer."""
        return sum(self.rows.values())

    @property
    def device_seconds(self) -> dict[str, float]:
        """Seconds times devices, of the rows in which devices were held."""
        return {row: self.devices * s for row, s in self.rows.items() if row not in _BEFORE}


def settle(events: Iterable[Event], now: float, devices: int = 1) -> Account:
    """The account of a run's events; one that is not over is charged up to `now`."""
    book = _Book()
    for event in events:
        match event.kind:
            case "spans":
                book.spans(event.data["began"], event.data["rows"])
            case "status":
                book.status(Status(event.data["status"]), event.time)
            case "ledger" if event.rank == 0:
                book.worked(event.data)
            case "metrics" if event.data["split"] == "train":
                book.reached = max(book.reached, event.data["step"])
            case "recorded":
                book.charge("finish", event.time)
    if book.waiting:
        book.charge(book.waiting, now)
    return Account(book.rows, devices)


@dataclass
class _Book:
    """The account while events are read."""

    rows: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ROWS, 0.0))
    at: float | None = None  # everything before this moment is charged
    waiting: str = ""  # the row of what comes next, while no worker accounts for it
    faulty: bool = False  # the attempt replaces one that was lost
    running: bool = False  # there is an attempt
    reached: int = 0  # the furthest step so far
    redo: int = 0  # the furthest step of the attempts before
    said: dict[str, float] = field(default_factory=dict)  # the worker's last word

    def charge(self, row: str, until: float) -> None:
        """Everything up to `until` goes to `row`."""
        if self.at is not None:
            self.rows[row] += max(0.0, until - self.at)
        self.at = max(until, self.at or until)

    def spans(self, began: float, rows: dict[str, float]) -> None:
        """What the command line did before there was a run."""
        self.at, self.waiting = began, "cli"
        for row, seconds in rows.items():
            self.charge(row, self.at + seconds)

    def status(self, status: Status, when: float) -> None:
        """A step in the life of the run."""
        match status:
            case Status.QUEUED if self.running:  # the attempt was lost
                self.charge("recover", when)
                self.running, self.faulty, self.waiting = False, True, "recover"
            case Status.QUEUED:
                if self.waiting == "cli":
                    self.charge("cli", when)
                self.at, self.waiting = when, "queue"
            case Status.PENDING:
                self.charge(self.waiting or "queue", when)
                self.running, self.said, self.redo = True, {}, self.reached
                self.waiting = "recover" if self.faulty else "place"
            case Status.SUCCEEDED | Status.FAILED | Status.STOPPED:
                self.charge("finish" if self.said else self.waiting or "finish", when)
                self.running, self.faulty, self.waiting = False, False, ""

    def worked(self, word: dict[str, Any]) -> None:
        """The worker's account of its attempt so far; what it adds to its last word is new."""
        if not self.said:
            self.charge(self.waiting or "place", word["began"])
        again = self.faulty and word["step"] <= self.redo
        for row, seconds in word["rows"].items():
            self.rows[self._owner(row, again)] += seconds - self.said.get(row, 0.0)
        self.said, self.waiting = word["rows"], ""
        self.at = word["began"] + sum(self.said.values())

    def _owner(self, row: str, again: bool) -> str:
        if self.faulty and row in _START:
            return "recover"
        return "replay" if again and row in _STEPS else row
