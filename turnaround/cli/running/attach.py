"""Join a run: the view, what Ctrl-C means, the closing words, the exit code."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TextIO

from turnaround.cli.running.follow import Follower, View
from turnaround.cli.running.steer import steer
from turnaround.cli.views.closing import closing
from turnaround.cli.views.lines import Lines
from turnaround.cli.views.outlook import forecast
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.record import record, strict_json
from turnaround.cli.views.tail import Tail, latest, tail
from turnaround.journal import Journal, Run
from turnaround.spec import Status
from turnaround.sweep import start


@dataclass(frozen=True)
class Manner:
    """How a run is watched."""

    as_json: bool = False  # for a script: one line at the end, the view on standard error
    fresh: bool = False  # all of it is news; else one line says what happened before
    stops: bool = True  # Ctrl-C ends the run where nobody can be asked
    interrupted: bool = False  # Ctrl-C came before there was anything to watch


def attach(journal: Journal, run: Run, manner: Manner) -> int:
    """Show the run until it is over or left to itself; the exit code."""
    as_json = manner.as_json
    out = sys.stderr if as_json else sys.stdout
    progress = Progress(journal.plan(run.id).budget, forecast(journal, run))
    view = _view(journal, run, progress, out)
    events = (
        Tail(journal.folder(run.id) / "events.jsonl") if manner.fresh else tail(journal, run.id)
    )
    if not manner.fresh:
        view.catch_up(events.news())
    follower = Follower(journal, run, view, steer(journal, run), events)
    asks = sys.stdin.isatty() and out.isatty()
    left = follower.attend(asks, manner.stops, manner.interrupted)
    if left is None:
        conclude(journal, follower.run, progress, as_json)
        return follower.exit_code
    if as_json:
        print(strict_json(record(journal, follower.run, progress)))
    return left


def leave(journal: Journal, run: Run, words: str, as_json: bool) -> int:
    """The run goes on without us: what there is to say of it by now."""
    print(words, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(strict_json(record(journal, run, latest(journal, run))))
    return 0


def conclude(journal: Journal, run: Run, progress: Progress | None, as_json: bool) -> None:
    """The closing words, or one line of JSON, about a run that is over."""
    progress = progress or latest(journal, run)
    if as_json:
        print(strict_json(record(journal, run, progress)))
        return
    out = sys.stderr if run.status is Status.FAILED else sys.stdout
    print(f"\n{last_words(journal, run, progress)}", file=out)


def last_words(journal: Journal, run: Run, progress: Progress) -> str:
    """What there is to say about a run, or about all those of a sweep."""
    if not start.is_sweep(journal, run):
        return closing(journal, run, progress)
    from turnaround.cli.views.findings import short

    return short(journal, run)


def _view(journal: Journal, run: Run, progress: Progress, out: TextIO) -> View:
    """A picture on a terminal that can draw one, else lines."""
    plain = not out.isatty() or os.environ.get("TERM") in (None, "", "dumb", "unknown")
    if start.is_sweep(journal, run):
        return _field(journal, run, progress, out, plain)
    if plain:
        return Lines(run.id, progress, out)
    from rich.console import Console

    from turnaround.cli.views.live import Screen

    return Screen(run.id, progress, journal.folder(run.id), Console(file=out, highlight=False))


def _field(journal: Journal, run: Run, progress: Progress, out: TextIO, plain: bool) -> View:
    """The same, of a sweep."""
    if plain:
        from turnaround.cli.views.standing import SweepLines

        return SweepLines(journal, run.id, progress, out)
    from rich.console import Console

    from turnaround.cli.views.field import Field

    return Field(journal, run.id, progress, Console(file=out, highlight=False))
