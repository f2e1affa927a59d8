"""`turnaround rm`: forget runs, and delete their files."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from turnaround.cli.running.steer import settle
from turnaround.cli.verbs.gc import used
from turnaround.cli.views import units
from turnaround.cli.words import arguments
from turnaround.errors import ConfigError, JournalError
from turnaround.journal import Journal, Run, home


def rm(
    runs: arguments.SomeRuns,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs: their rows, event files, logs and checkpoints. What MLflow has stays there.

    \b
    turnaround rm seq2seq-k3x9e
    turnaround rm --yes seq2seq-k3x9e seq2seq-p7n2d
    """
    journal = Journal(home())
    asked = [settle(journal, arguments.found(journal, word, sole=True)) for word in runs]
    found = {run.id: run for run in asked}
    for run in found.values():
        _check(run)
    if not yes and not _agreed(journal, list(found.values())):
        typer.echo("nothing was deleted")
        return
    for run in found.values():
        journal.forget(run.id)
        typer.echo(f"deleted {run.id}")


def _check(run: Run) -> None:
    if not run.status.over:
        raise JournalError(f"run {run.id} is {run.status}", f"turnaround stop {run.id} first")


def _agreed(journal: Journal, runs: list[Run]) -> bool:
    size = units.size(sum(used(journal.folder(run.id)) for run in runs))
    names = ", ".join(run.id for run in runs)
    if not sys.stdin.isatty():
        raise ConfigError(
            f"rm would delete {names} ({size}), and nobody is there to ask", "add --yes"
        )
    late = [run.id for run in runs if not run.recorded]
    warning = f" (MLflow has not got all of {', '.join(late)} yet)" if late else ""
    return typer.confirm(f"delete {names} ({size})?{warning}")
