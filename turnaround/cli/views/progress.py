"""What a run's events add up to: what the live view, `show`, `ls` and the closing words tell.

    progress = Progress(plan.budget)
    for event in journal.events(run.id):
        progress.add(event)
    progress.fraction, progress.left(time.time())

One small function for each kind of event; what a newer turnaround may add is passed over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from turnaround.forecast.eta import Forecast
from turnaround.forecast.guess import Interval
from turnaround.forecast.seen import Seen
from turnaround.spec import Budget, Event, Status

NOTICES = 3  # the last ones stay in sight


@dataclass
class Progress:
    """Folded events; nothing here is asked of anybody else but the forecast."""

    budget: Budget = field(default_factory=Budget)
    forecast: Forecast | None = None  # by runs like it
    seen: Seen = field(default_factory=Seen)  # how far and how fast, for the forecast
    wait: Interval | None = None  # seconds until it starts, when somebody has asked the queue
    status: str = Status.QUEUED
    reason: str = ""
    attempt: int = 0
    step: int = 0
    steps: int | None = None  # planned
    examples: int = 0
    epoch: float | None = None
    seconds: float = 0.0  # of training
    rate: float = 0.0  # examples a second
    loss: float | None = None  # on the training split
    evaluated: int | None = None  # the step of `scores`
    scores: dict[str, float] = field(default_factory=dict)  # on the valid split, newest
    saved: int | None = None  # the step of the newest checkpoint
    best: int | None = None  # and of the best one
    workers: dict[int, dict[str, Any]] = field(default_factory=dict)  # by rank
    notices: deque[Event] = field(default_factory=lambda: deque(maxlen=NOTICES))
    samples: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    error: Event | None = None
    started: float | None = None  # the newest attempt
    ended: float | None = None
    ran: float = 0.0  # seconds of the attempts before this one

    def add(self, event: Event) -> None:
        """Take one more event into account; kinds that a newer turnaround added are passed over."""
        self.seen.add(event)
        if fold := _FOLDS.get(event.kind):
            self.attempt = max(self.attempt, event.attempt)
            fold(self, event)

    @property
    def fraction(self) -> float | None:
        """Done, 0 to 1, by the part of the budget nearest its end; none when there is no end."""
        budget = self.budget
        goals = [
            (self.step, self.steps or budget.steps),
            (self.examples, budget.examples),
            (self.seconds, budget.time),
        ]
        shares = [done / goal for done, goal in goals if goal]
        return min(max(shares), 1.0) if shares else None

    def left(self, now: float) -> Interval | None:
        """Seconds to its end, from its start while it waits; none when nobody can know."""
        if self.forecast is None or Status(self.status).over:
            return None
        return self.forecast.left(self.seen, now)

    @property
    def values(self) -> dict[str, float]:
        """The last numbers known, as a summary names them: `test/bleu`, `valid/loss`."""
        return self.summary.get("values") or {f"valid/{name}": v for name, v in self.scores.items()}


def _status(progress: Progress, event: Event) -> None:
    if progress.status == Status.RUNNING and progress.started:
        progress.ran += event.time - progress.started
    progress.status = event.data["status"]
    progress.reason = event.data.get("reason", "")
    if progress.status == Status.RUNNING:
        progress.started = event.time
    progress.ended = event.time if Status(progress.status).over else None


def _worker(progress: Progress, event: Event) -> None:
    progress.workers[event.rank] = event.data


def _progress(progress: Progress, event: Event) -> None:
    data = event.data
    progress.step = data["step"]
    progress.steps = data.get("steps") or progress.steps
    progress.examples = data.get("examples", progress.examples)
    progress.rate = data.get("rate", progress.rate)
    progress.loss = data.get("loss", progress.loss)


def _metrics(progress: Progress, event: Event) -> None:
    data = event.data
    progress.step = data["step"]
    progress.epoch = data.get("epoch", progress.epoch)
    progress.examples = data.get("examples", progress.examples)
    progress.seconds = data.get("seconds", progress.seconds)
    if data["split"] == "valid":
        progress.evaluated, progress.scores = data["step"], data["values"]
    elif data["split"] == "train":
        progress.loss = data["values"].get("loss", progress.loss)


def _checkpoint(progress: Progress, event: Event) -> None:
    progress.saved = event.data["step"]
    if event.data.get("best"):
        progress.best = event.data["step"]


def _samples(progress: Progress, event: Event) -> None:
    progress.samples = event.data


def _summary(progress: Progress, event: Event) -> None:
    progress.summary = event.data
    progress.step = event.data.get("steps", progress.step)
    progress.examples = event.data.get("examples", progress.examples)


def _notice(progress: Progress, event: Event) -> None:
    progress.notices.append(event)


def _error(progress: Progress, event: Event) -> None:
    """The first error of an attempt is the cause, the others are its echoes."""
    if progress.error is None or event.attempt > progress.error.attempt:
        progress.error = event


_FOLDS: dict[str, Callable[[Progress, Event], None]] = {
    "status": _status,
    "worker": _worker,
    "progress": _progress,
    "metrics": _metrics,
    "checkpoint": _checkpoint,
    "samples": _samples,
    "summary": _summary,
    "notice": _notice,
    "warning": _notice,
    "error": _error,
}
