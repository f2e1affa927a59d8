"""How a sweep stands while it runs: folded events, the runs under way, and when it will be over.

standing = Standing(journal, "sweep-x7k2m")
standing.take(event)
standing.left(time.time())         # seconds, or none
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TextIO

from turnaround.cli.views import units
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.table import plain
from turnaround.cli.views.tail import Tail
from turnaround.journal import Journal
from turnaround.spec import Event, Status
from turnaround.sweep import question as questions
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State, Trial


class Standing:
    """What is known of a sweep."""

    def __init__(self, journal: Journal, sweep: str) -> None:
        self._journal = journal
        self.question = questions.read(journal.folder(sweep))
        self.state = State(self.question.rises)
        self.top = len(ladder(self.question)) - 1
        self._tails: dict[str, Tail] = {}
        self.runs: dict[str, Progress] = {}  # under way, by id
        self._begun: float | None = None
        self._done = 0  # results before we looked

    def take(self, event: Event) -> None:
        """One more event of the sweep."""
        self.state.add(event)
        if event.kind == "sent" and self._begun is None:
            self._begun = event.time
        if event.kind == "status" and event.data["status"] == Status.RUNNING:
            self._begun, self._done = None, self.state.told

    def look(self) -> None:
        """Read on in the files of the runs under way."""
        going = {s.run for trial in self.state.open() for s in trial.sent.values()}
        self.runs = {run: self.runs.get(run) or Progress() for run in going}
        for run, progress in self.runs.items():
            file = self._journal.folder(run) / "events.jsonl"
            for event in self._tails.setdefault(run, Tail(file)).news():
                progress.add(event)

    @property
    def total(self) -> float:
        """Trials there will be; infinite when the window decides."""
        return self.question.trials + self.state.more

    @property
    def done(self) -> int:
        """Trials of which nothing is awaited."""
        return len(self.state.trials) - len(self.state.open())

    def fraction(self) -> float | None:
        """Of all that is to be done, with what the runs under way have done of theirs."""
        if not math.isfinite(self.total):
            return None
        seeds = self.question.settings.seeds
        parts = [progress.fraction or 0.0 for progress in self.runs.values()]
        return min(1.0, (self.done + sum(parts) / seeds) / max(self.total, 1))

    def left(self, now: float) -> float | None:
        """Seconds, if it goes on as it did; none when nobody can know."""
        end = self.question.window.end
        by_window = end - now if end else None
        share, told = self.fraction(), self.state.told - self._done
        if not share or not told or self._begun is None or self.top:
            return by_window
        before = self._done / max(self.total, 1)
        whole = (now - self._begun) * (1 - share) / max(share - before, 1e-9)
        return whole if by_window is None else min(whole, by_window)

    def best(self) -> Trial | None:
        """The trial to beat."""
        return self.state.best(self.top)


class SweepLines:
    """The view without a terminal: a line for each result."""

    def __init__(self, journal: Journal, sweep: str, progress: Progress, out: TextIO) -> None:
        self.run = sweep
        self.progress = progress
        self._standing = Standing(journal, sweep)
        self._out = out

    def catch_up(self, events: Iterable[Event]) -> None:
        """Know what happened before; one line says where things stand."""
        for event in events:
            self.progress.add(event)
            self._standing.take(event)
        self.say(f"{self.run} {self.progress.status}: {told(self._standing)}")

    def take(self, event: Event) -> None:
        """Know one more event, and say it if it matters."""
        self.progress.add(event)
        self._standing.take(event)
        if line := self._line(event):
            self.say(line)

    def say(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._out, flush=True)

    def beat(self) -> None:
        """Nothing moves between events."""

    def close(self) -> None:
        """Nothing to put away."""

    def _line(self, event: Event) -> str | None:
        match event.kind:
            case "status":
                reason = f": {plain(self.progress.reason)}" if self.progress.reason else ""
                return f"{self.run} {self.progress.status}{reason}"
            case "result":
                trial = self._standing.state.trials[event.data["number"]]
                left = self._standing.left(time.time())
                more = f"  {units.duration(left)} left" if left is not None else ""
                return f"{outcome(trial, self._standing)}  ({told(self._standing)}){more}"
            case "notice" | "warning":
                return f"{event.kind}: {plain(event.data['message'])}"
        return None


def outcome(trial: Trial, standing: Standing) -> str:
    """A trial in one line: `3  lr=0.003 width=64  bleu 63.1`."""
    score, result = standing.question.score, trial.result
    if result is None:
        return f"{trial.number}  {trial.name}"
    if result.score is None:
        return f"{trial.number}  {trial.name}  {result.status}: {plain(result.reason)}"
    rung = f" at rung {trial.rung + 1}" if standing.top and trial.rung < standing.top else ""
    return f"{trial.number}  {trial.name}  {score} {units.number(result.score)}{rung}"


def told(standing: Standing) -> str:
    """`12 of 50 done, 1 failed; best 7: lr=0.003, bleu 63.1`."""
    total = f" of {standing.total:,.0f}" if math.isfinite(standing.total) else ""
    failed = sum(trial.failed for trial in standing.state.trials.values())
    words = f"{standing.done}{total} done" + (f", {failed} failed" if failed else "")
    best = standing.best()
    if best is None or best.score is None:
        return words
    score = f"{standing.question.score} {units.number(best.score)}"
    return f"{words}; best {best.number}: {best.name}, {score}"
