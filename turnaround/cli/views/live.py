"""The view on a terminal: one picture of the run, drawn again in place ten times a second.

seq2seq-k3x9e  RUNNING  1m12s
━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━  54%  1m02s left (55s–1m10s)
step 1,620/3,000  loss 0.813  1,834 examples/s  epoch 2.1
valid at 1,500: loss 0.641  bleu 71.3  chrf 80.2
! the Ray head died and is being restarted
2 × cpu · ~/.local/state/turnaround/runs/seq2seq-k3x9e
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from turnaround.cli.views import units
from turnaround.cli.views.outlook import ahead
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.table import plain
from turnaround.spec import Event, Status

REDRAW = 0.1  # seconds
WIDE = 60  # columns in which there is room for an interval
COLOURS = {
    Status.RUNNING: "bold cyan",
    Status.SUCCEEDED: "bold green",
    Status.FAILED: "bold red",
    Status.STOPPED: "bold yellow",
}


class Picture:
    """What every view has: it is told of events, and drawn again in place when it is time."""

    redraw = REDRAW

    def __init__(self, progress: Progress, console: Console, clock: Callable[[], float]) -> None:
        self.progress = progress
        self._clock = clock
        self._drawn = 0.0
        self._live = Live(self, console=console, auto_refresh=False)

    def catch_up(self, events: Iterable[Event]) -> None:
        """Know what happened before, and draw it."""
        for event in events:
            self.take(event)
        self.beat()

    def take(self, event: Event) -> None:
        """Know one more event; the next beat draws it."""
        self.progress.add(event)

    def say(self, text: str) -> None:
        """A line above the picture."""
        self._live.console.print(text, markup=False)

    def beat(self) -> None:
        """Draw again, if it is time."""
        self._live.start()
        if self._clock() - self._drawn >= self.redraw:
            self.look()
            self._live.refresh()
            self._drawn = self._clock()

    def look(self) -> None:
        """See what no event tells, before it is drawn."""

    def close(self) -> None:
        """The picture stays, unless the closing words follow; `beat` opens it again."""
        self._live.transient = Status(self.progress.status).over
        self._live.refresh()
        self._live.stop()

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """What is drawn."""
        raise NotImplementedError


class Screen(Picture):
    """One run on a terminal."""

    def __init__(
        self,
        run: str,
        progress: Progress,
        folder: Path,
        console: Console | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(progress, console or Console(highlight=False), clock)
        self.run = run
        self._folder = folder

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        width = options.max_width
        yield self._head(width)
        if self.progress.status == Status.QUEUED or not self.progress.step:
            yield Text(self._waiting(), style="dim")
        else:
            yield self._bar(width)
            yield from packed(self._facts(), width)
            yield from packed(self._scores(), width)
        for event in self.progress.notices:
            style = "yellow" if event.kind == "warning" else ""
            yield Text(f"! {plain(event.data['message'])}", style)
        yield Text(self._place(), style="dim", overflow="ellipsis", no_wrap=True)

    def _head(self, width: int) -> Text:
        progress = self.progress
        status = Status(progress.status)
        words = [(self.run, "bold"), (str(status), COLOURS.get(status, "bold"))]
        if progress.started:
            words.append((units.duration((progress.ended or self._clock()) - progress.started), ""))
        if progress.attempt > 1:
            words.append((f"attempt {progress.attempt}", "yellow"))
        line = Text("  ").join(Text(word, style) for word, style in words)
        line.truncate(width, overflow="ellipsis")
        return line

    def _waiting(self) -> str:
        """Why it has not begun, and when it will."""
        words = [plain(self.progress.reason) or "starting", ahead(self.progress, self._clock())]
        return "; ".join(word for word in words if word)

    def _bar(self, width: int) -> RenderableType:
        progress = self.progress
        row = Table.grid(padding=(0, 2, 0, 0), expand=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        done = progress.fraction
        bar = ProgressBar(
            complete_style="cyan",
            finished_style="green",
            total=1.0,
            completed=done or 0.0,
            pulse=done is None,
            animation_time=self._clock(),
        )
        share = f"{done:.0%}" if done is not None else ""
        row.add_row(bar, "  ".join(part for part in (share, self._left(width)) if part))
        return row

    def _left(self, width: int) -> str:
        """How long it will take; on a narrow terminal without the interval."""
        now = self._clock()
        if width >= WIDE:
            return ahead(self.progress, now)
        left = self.progress.left(now)
        return f"{units.duration(left.middle)} left" if left else ""

    def _facts(self) -> list[str]:
        progress = self.progress
        goal = f"/{progress.steps:,}" if progress.steps else ""
        facts = [f"step {progress.step:,}{goal}"]
        if progress.loss is not None:
            facts.append(f"loss {units.number(progress.loss)}")
        if progress.rate:
            facts.append(f"{units.number(progress.rate)} examples/s")
        if progress.epoch is not None:
            facts.append(f"epoch {progress.epoch:.1f}")
        return facts

    def _scores(self) -> list[str]:
        progress = self.progress
        if not progress.scores:
            return []
        facts = [f"{name} {units.number(value)}" for name, value in progress.scores.items()]
        facts[0] = f"valid at {progress.evaluated:,}: {facts[0]}"
        if progress.best is not None:
            facts.append(f"best at {progress.best:,}")
        return facts

    def _place(self) -> str:
        kinds = Counter(worker.get("device", "cpu") for worker in self.progress.workers.values())
        devices = " + ".join(f"{count} × {kind}" for kind, count in kinds.items())
        return " · ".join(part for part in (devices, units.short(self._folder)) if part)


def packed(facts: list[str], width: int) -> Iterator[Text]:
    """Facts side by side, as many in a line as fit; none is broken in two."""
    line = ""
    for fact in facts:
        longer = f"{line}  {fact}" if line else fact
        if line and cell_len(longer) > width:
            yield Text(line)
            longer = fact
        line = longer
    if line:
        yield Text(line)
