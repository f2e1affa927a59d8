"""`turnaround logs`: what a run's processes printed."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Annotated, BinaryIO

import typer

from turnaround.cli.running.steer import settle
from turnaround.cli.words import arguments
from turnaround.journal import Journal, home

BEAT = 0.2  # seconds between looks at a log that is followed


def logs(
    run: arguments.OneRun,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run is over.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", "-n", min=0, metavar="N", help="The last N lines.")
    ] = None,
) -> None:
    """Print what a run's processes printed.

    \b
    turnaround logs seq2seq-k3x9e --tail 20
    turnaround logs seq2seq-k3x9e -f
    """
    journal = Journal(home())
    found = arguments.found(journal, run)
    path = journal.folder(found.id) / "log.txt"
    if not path.exists() and not follow:
        typer.echo(f"{found.id} has printed nothing yet ({found.status}): {path}", err=True)
        return
    while not path.exists() and not _over(journal, found.id):
        time.sleep(BEAT)
    if path.exists():
        with path.open("rb") as log:
            _print(log, tail)
            while follow:
                over = _over(journal, found.id)
                _print(log, None)
                if over:
                    return
                time.sleep(BEAT)


def _over(journal: Journal, run: str) -> bool:
    """Nobody carries it out any more; one whose process was killed has not said so itself."""
    return settle(journal, journal.run(run)).status.over


def _print(log: BinaryIO, tail: int | None) -> None:
    """What is left of the log, or its last lines."""
    lines = log if tail is None else deque(log, maxlen=tail)
    sys.stdout.buffer.writelines(lines)
    sys.stdout.buffer.flush()
