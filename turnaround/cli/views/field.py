"""The view of a sweep on a terminal: one picture, drawn again in place.

sweep-x7k2m  RUNNING  4m12s
━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━  23/50  4m40s left
best so far  bleu 63.1  lr=0.0031 width=128
  7  lr=0.0031 width=128   63.1
 12  lr=0.0044 width=128   62.7
 24  lr=0.0029 width=96    ▸ step 1,200/2,000  loss 0.81
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from turnaround.cli.views import units
from turnaround.cli.views.live import COLOURS, Picture
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.standing import Standing, told
from turnaround.cli.views.table import plain
from turnaround.journal import Journal
from turnaround.spec import Event, Status
from turnaround.sweep.state import Trial

REDRAW = 0.25  # seconds
SHOWN = 5  # of the best, and of those under way


class Field(Picture):
    """A sweep on a terminal."""

    redraw = REDRAW

    def __init__(
        self,
        journal: Journal,
        sweep: str,
        progress: Progress,
        console: Console,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(progress, console, clock)
        self.run = sweep
        self._standing = Standing(journal, sweep)

    def take(self, event: Event) -> None:
        """Know one more event; the next beat draws it."""
        super().take(event)
        self._standing.take(event)

    def look(self) -> None:
        """See where the trials are."""
        self._standing.look()

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield self._head()
        yield self._bar()
        yield Text(told(self._standing), overflow="ellipsis", no_wrap=True)
        yield self._table()
        for event in self.progress.notices:
            yield Text(f"! {plain(event.data['message'])}")

    def _head(self) -> Text:
        status = Status(self.progress.status)
        words = [(self.run, "bold"), (str(status), COLOURS.get(status, "bold"))]
        if self.progress.started:
            ran = (self.progress.ended or self._clock()) - self.progress.started
            words.append((units.duration(ran), ""))
        return Text("  ").join(Text(word, style) for word, style in words)

    def _bar(self) -> RenderableType:
        standing = self._standing
        share, left = standing.fraction(), standing.left(self._clock())
        row = Table.grid(padding=(0, 2, 0, 0), expand=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(
            total=1.0,
            completed=share or 0.0,
            pulse=share is None,
            complete_style="cyan",
            animation_time=self._clock(),
        )
        total = f"/{standing.total:,.0f}" if math.isfinite(standing.total) else ""
        words = [f"{standing.done}{total}"]
        words += [f"{units.duration(left)} left"] if left is not None else []
        row.add_row(bar, "  ".join(words))
        return row

    def _table(self) -> Table:
        """The best that have ended, then those under way."""
        rows = Table.grid(padding=(0, 2, 0, 0))
        for justify in ("right", "left", "left"):
            rows.add_column(justify=justify, no_wrap=True)
        state = self._standing.state
        done = [trial for trial in state.trials.values() if not trial.open]
        for trial in state.ranked(done)[:SHOWN]:
            shown = units.number(trial.score) if trial.score is not None else ""
            rows.add_row(str(trial.number), trial.name, shown)
        for trial in state.open()[-SHOWN:]:
            rows.add_row(str(trial.number), trial.name, Text(self._under_way(trial), "cyan"))
        return rows

    def _under_way(self, trial: Trial) -> str:
        """How far its runs are."""
        known = [self._standing.runs.get(sent.run) for sent in trial.sent.values()]
        words = []
        for progress in filter(None, known):
            goal = f"/{progress.steps:,}" if progress.steps else ""
            loss = f"  loss {units.number(progress.loss)}" if progress.loss is not None else ""
            words.append(f"▸ step {progress.step:,}{goal}{loss}" if progress.step else "▸ queued")
        return "  ".join(words) or "▸ waits"
