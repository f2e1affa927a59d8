"""Where a run's wall-clock time went, in rows that add up: from key press to recorded answer.

    account = settle(journal.events(run), now=time.time(), devices=2)
    account.rows                  # {"cli": 0.21, "queue": 0.01, …, "other": 0.02}, in seconds
    account.total                 # their sum: the time from key press to recorded answer
    account.device_seconds        # the same where devices were held, times devices
    account.attempts[1].rows      # of the first attempt alone

Spans come from the launcher, the pool and the loop, never from user code. A moment belongs to one
row and one attempt: what came before an attempt, its queue for example, belongs to it. The pause
between a stop and a resume is nobody's time and is not counted. All moments are by one clock:
`pool/messages/offset.py` sees to those of other machines.
"""

from __future__ import annotations

from collections import defaultdict
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
    "spawn": "from the fork to the worker's first line; torch, where it is not there yet",
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
_STEPS = ("data", "compute", "communicate", "optimize", "log", "other")  # what a step is made of
_START = ("spawn", "import", "rendezvous", "build")  # what an attempt begins with


@dataclass(frozen=True)
class Account:
    """Seconds by row."""

    rows: dict[str, float]
    devices: float = 1
    held: dict[str, float] = field(default_factory=dict)  # of each row, while devices were held
    attempts: dict[int, Account] = field(default_factory=dict)  # by number; the run's own has them

    @property
    def total(self) -> float:
        """From key press to recorded answer."""
        return sum(self.rows.values())

    @property
    def device_seconds(self) -> dict[str, float]:
        """Seconds times devices, of the rows in which devices were held."""
        return {row: self.devices * seconds for row, seconds in self.held.items() if seconds}


def settle(events: Iterable[Event], now: float, devices: float = 1) -> Account:
    """The account of a run's events; one that is not over is charged up to `now`."""
    book = _Book()
    for event in events:
        match event.kind:
            case "spans":
                book.spans(event.data["began"], event.data["rows"])
            case "status":
                book.status(Status(event.data["status"]), event.time, event.attempt)
            case "ledger" if event.rank == 0:
                book.worked(event.data)
            case "metrics" if event.data["split"] == "train":
                book.reached = max(book.reached, event.data["step"])
            case "yields":
                book.yielded = True
            case "recorded":
                book.charge("finish", event.time)
    if book.waiting:
        book.charge(book.waiting, now)
    pages = {page.attempt: Account(page.filled(), devices, page.held) for page in book.pages}
    whole = [_summed([getattr(page, part) for page in book.pages]) for part in ("rows", "held")]
    return Account({row: whole[0].get(row, 0.0) for row in ROWS}, devices, whole[1], pages)


def _summed(parts: list[dict[str, float]]) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for row, seconds in part.items():
            total[row] += seconds
    return dict(total)


@dataclass
class _Page:
    """One attempt, and what led to it."""

    attempt: int = 0  # its number; 0 before it begins
    rows: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    held: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def filled(self) -> dict[str, float]:
        """Every row there is."""
        return {row: self.rows.get(row, 0.0) for row in ROWS}


@dataclass
class _Book:
    """The account while events are read."""

    pages: list[_Page] = field(default_factory=lambda: [_Page()])
    at: float | None = None  # everything before this moment is charged
    waiting: str = ""  # the row of what comes next, while no worker accounts for it
    faulty: bool = False  # the attempt replaces one that was lost
    yielded: bool = False  # it has been told to save and to make room
    running: bool = False  # there is an attempt, which holds devices
    reached: int = 0  # the furthest step so far
    redo: int = 0  # the furthest step of the attempts before
    step: int = 0  # of the worker's last word
    said: dict[str, float] = field(default_factory=dict)  # the rows of the worker's last word

    def add(self, row: str, seconds: float) -> None:
        """To the attempt that is on; a row that only a newer worker knows is `other`."""
        row = row if row in ROWS else "other"
        self.pages[-1].rows[row] += seconds
        if self.running:
            self.pages[-1].held[row] += seconds

    def charge(self, row: str, until: float) -> None:
        """Everything up to `until` goes to `row`."""
        if self.at is not None:
            self.add(row, max(0.0, until - self.at))
        self.at = max(until, self.at or until)

    def spans(self, began: float, rows: dict[str, float]) -> None:
        """What a command line did before there was a run, or before it went on."""
        self._turn()
        self.at, self.waiting = max(began, self.at or began), "cli"
        for row, seconds in rows.items():
            began += seconds
            self.charge(row, began)

    def status(self, status: Status, when: float, attempt: int) -> None:
        """A step in the life of the run."""
        match status:
            case Status.QUEUED if self.running and self.yielded:
                self.charge("finish", when)
                self.running, self.faulty, self.yielded = False, False, False
                self._turn()
                self.waiting = "queue"
            case Status.QUEUED if self.running:  # the attempt was lost
                self.pages.append(_Page())
                self.charge("recover", when)
                self.running, self.faulty, self.waiting = False, True, "recover"
            case Status.QUEUED:
                self._turn()
                if self.waiting == "cli":
                    self.charge("cli", when)
                self.at, self.waiting = when, "queue"
            case Status.PENDING | Status.RUNNING if not self.running:  # inline runs do not wait
                self._turn()
                inline = status is Status.RUNNING and self.waiting == "queue"
                if self.waiting:  # else the run was over, and the pause is nobody's
                    self.charge("place" if inline else self.waiting, when)
                self.at = max(when, self.at or when)
                self._begin(attempt)
            case Status.SUCCEEDED | Status.FAILED | Status.STOPPED:
                self.charge("finish" if self.said else self.waiting or "finish", when)
                self.running, self.faulty, self.waiting = False, False, ""
                self.yielded = False

    def worked(self, word: dict[str, Any]) -> None:
        """The worker's account of its attempt so far; what it adds to its last word is new."""
        if not self.said:
            self.charge(self.waiting or "place", word["began"])
        again = self._again(word["step"])
        for row, seconds in word["rows"].items():
            self._divide(row, seconds - self.said.get(row, 0.0), again)
        self.said, self.step, self.waiting = word["rows"], word["step"], ""
        self.at = word["began"] + sum(self.said.values())

    def _begin(self, attempt: int) -> None:
        self.pages[-1].attempt = attempt
        self.running, self.said, self.step, self.redo = True, {}, 0, self.reached
        self.waiting = "recover" if self.faulty else "place"

    def _turn(self) -> None:
        """A new page, once the attempt on this one has ended."""
        if self.pages[-1].attempt and not self.running:
            self.pages.append(_Page())

    def _again(self, step: int) -> float:
        """The share of the steps since the last word that the lost attempt had done before."""
        if not self.faulty:
            return 0.0
        before = self.step or step - 1  # an attempt's first word comes after its first step
        done = min(step, self.redo) - before
        return max(0.0, done / (step - before)) if step > before else float(done >= 0)

    def _divide(self, row: str, seconds: float, again: float) -> None:
        if self.faulty and row in _START:
            self.add("recover", seconds)
        elif row in _STEPS:
            self.add("replay", again * seconds)
            self.add(row, (1 - again) * seconds)
        else:
            self.add(row, seconds)
