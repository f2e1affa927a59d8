"""Join a run: the view, what Ctrl-C means, the closing words, the exit code."""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

from turnaround.cli.closing import closing
from turnaround.cli.follow import Follower, View
from turnaround.cli.lines import Lines
from turnaround.cli.progress import Progress
from turnaround.cli.record import record
from turnaround.cli.steer import steer
from turnaround.cli.tail import Tail, latest, tail
from turnaround.journal import Journal, Run
from turnaround.spec import Status


def attach(journal: Journal, run: Run, as_json: bool, fresh: bool = False, stops: bool = True) -> int:
    """Show the run until it is over or left. `fresh`: all of it is news. `stops`: so does Ctrl-C, unasked."""
    out = sys.stderr if as_json else sys.stdout
    progress = Progress(journal.plan(run.id).budget)
    view = _view(journal, run, progress, out)
    events = Tail(journal.folder(run.id) / "events.jsonl") if fresh else tail(journal, run.id)
    if not fresh:
        view.catch_up(events.news())
    follower = Follower(journal, run, view, steer(journal, run), events)
    left = follower.attend(asks=sys.stdin.isatty() and out.isatty(), stops=stops)
    if left is None:
        conclude(journal, follower.run, progress, as_json)
        return follower.exit_code
    if as_json:
        print(json.dumps(record(journal, follower.run, progress)))
    return left


def conclude(journal: Journal, run: Run, progress: Progress | None, as_json: bool) -> None:
    """The closing words, or one line of JSON, about a run that is over."""
    progress = progress or latest(journal, run)
    if as_json:
        print(json.dumps(record(journal, run, progress)))
        return
    out = sys.stderr if run.status is Status.FAILED else sys.stdout
    print(f"\n{closing(journal, run, progress)}", file=out)


def _view(journal: Journal, run: Run, progress: Progress, out: TextIO) -> View:
    """A picture on a terminal that can draw one, else lines."""
    if not out.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return Lines(run.id, progress, out)
    from rich.console import Console

    from turnaround.cli.live import Screen

    return Screen(run.id, progress, journal.folder(run.id), Console(file=out, highlight=False))
