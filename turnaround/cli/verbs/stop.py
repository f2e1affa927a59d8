"""`turnaround stop`: save runs, and end them."""

from __future__ import annotations

import time

import typer

from turnaround.cli.running.steer import settle, steer
from turnaround.cli.views.again import onward
from turnaround.cli.words import arguments
from turnaround.errors import LaunchError
from turnaround.journal import Journal, Run, home
from turnaround.spec import Status

PATIENCE = 60.0  # seconds; a save takes one or two
BEAT = 0.1


def stop(runs: arguments.SomeRuns) -> None:
    """Save runs and stop them. `turnaround resume` continues one where it was.

    \b
    turnaround stop seq2seq-k3x9e
    turnaround stop $(turnaround ls --status running --json | jq -r '.[].id')
    """
    journal = Journal(home())
    found = [settle(journal, arguments.found(journal, run, sole=True)) for run in runs]
    going = [run for run in found if not run.status.over]
    for run in found:
        if run.status.over:
            typer.echo(f"{run.id} is over already: {run.status}")
    for run in going:
        steer(journal, run).stop(run, "stopped with turnaround stop")
    for run in going:
        ended = _await(journal, run)
        hint = "" if ended.status is Status.SUCCEEDED else f": {onward(journal, run)} continues it"
        typer.echo(f"{run.id} {ended.status}{hint}")


def _await(journal: Journal, run: Run) -> Run:
    until = time.monotonic() + PATIENCE
    while not (now := settle(journal, journal.run(run.id))).status.over:
        if time.monotonic() > until:
            raise LaunchError(
                f"{run.id} was asked to stop and is still {now.status} after {PATIENCE:.0f} s",
                f"turnaround logs {run.id} says what it does; turnaround down ends it",
            )
        time.sleep(BEAT)
    return now
