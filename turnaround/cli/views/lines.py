"""The view without a terminal: one line for each thing that matters, and one every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TextIO

from turnaround.cli.views import units
from turnaround.cli.views.outlook import ahead
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.table import plain
from turnaround.spec import Event, Status

EVERY = 5.0  # seconds between lines that only say how far it is


class Lines:
    """Plain lines on `out`."""

    def __init__(
        self, run: str, progress: Progress, out: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.run = run
        self.progress = progress
        self._out = out
        self._clock = clock
        self._said = clock()

    def catch_up(self, events: Iterable[Event]) -> None:
        """Know what happened before; one line says where things stand."""
        for event in events:
            self.progress.add(event)
        self.say(self._state())

    def take(self, event: Event) -> None:
        """Know one more event, and say it if it matters."""
        self.progress.add(event)
        if line := self._line(event):
            self.say(line)

    def say(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._out, flush=True)
        self._said = self._clock()

    def beat(self) -> None:
        """Nothing moves between events."""

    def close(self) -> None:
        """Nothing to put away."""

    def _line(self, event: Event) -> str | None:
        match event.kind:
            case "status":
                return self._state()
            case "metrics" if event.data["split"] == "valid":
                return f"{self._where()}  valid {units.scores(self.progress.scores)}"
            case "notice" | "warning":
                return f"{event.kind}: {plain(event.data['message'])}"
            case "progress" if self._clock() - self._said >= EVERY:
                return self._pace()
        return None

    def _state(self) -> str:
        attempt = f" (attempt {self.progress.attempt})" if self.progress.attempt > 1 else ""
        waits = self.progress.status == Status.QUEUED
        words = [plain(self.progress.reason), ahead(self.progress, time.time()) if waits else ""]
        told = "; ".join(word for word in words if word)
        return f"{self.run} {Status(self.progress.status)}{attempt}" + (f": {told}" if told else "")

    def _where(self) -> str:
        progress = self.progress
        goal = f"/{progress.steps:,}" if progress.steps else ""
        return f"step {progress.step:,}{goal}"

    def _pace(self) -> str:
        progress = self.progress
        words = [self._where()]
        if progress.fraction is not None:
            words.append(f"{progress.fraction:.0%}")
        if progress.loss is not None:
            words.append(f"loss {units.number(progress.loss)}")
        if progress.rate:
            words.append(f"{units.number(progress.rate)} examples/s")
        words.append(ahead(progress, time.time()))
        return "  ".join(word for word in words if word)
