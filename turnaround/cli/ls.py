"""`turnaround ls`: the runs, newest first."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from turnaround.cli import arguments, units
from turnaround.cli.progress import Progress
from turnaround.cli.record import record
from turnaround.cli.steer import settle
from turnaround.cli.table import table
from turnaround.cli.tail import latest
from turnaround.errors import ConfigError, JournalError, near
from turnaround.journal import Journal, Run, home
from turnaround.spec import Status

COLUMNS = ("id", "name", "recipe", "status", "step", "score", "age", "took", "reason")
SPARE = ("took", "recipe", "name", "age", "step")  # on a narrow terminal, the first goes first
REACH = 1 << 16  # bytes of an event file: its last 300 events or so tell where a run is
SEARCHED = 100_000  # runs that filters look through


@dataclass(frozen=True)
class Filter:
    """What a listed run must be."""

    name: str | None
    tags: dict[str, str]
    recipe: str | None
    status: Status | None

    def admits(self, run: Run) -> bool:
        """All that was asked holds."""
        return (
            (self.name is None or fnmatchcase(run.name or "", self.name))
            and (self.recipe is None or run.recipe == self.recipe)
            and (self.status is None or run.status is self.status)
            and self.tags.items() <= run.tags.items()
        )


EVERYTHING = Filter(None, {}, None, None)


def ls(
    name: Annotated[str | None, typer.Option(metavar="GLOB", help="Runs with such a name.")] = None,
    tag: arguments.TagWords = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Runs of this recipe.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="Runs in this status.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    as_json: arguments.AsJson = False,
) -> None:
    """List runs, newest first.

    \b
    turnaround ls
    turnaround ls --status running
    turnaround ls --recipe seq2seq --tag team=nlp --limit 100
    turnaround ls --name 'wide*' --json | jq '.[].id'
    """
    asked = Filter(name, arguments.parse_tags(tag), recipe, _status(status))
    journal = Journal(home())
    far = limit if asked == EVERYTHING else SEARCHED
    runs = (settle(journal, run) for run in journal.runs(limit=far))
    found = [run for run in runs if asked.admits(run)][:limit]
    known = [(run, _progress(journal, run)) for run in found]
    if as_json:
        typer.echo(
            json.dumps([record(journal, run, progress) for run, progress in known], indent=1)
        )
    elif known:
        now = time.time()
        typer.echo(table(COLUMNS, [_row(journal, *pair, now) for pair in known], SPARE))
    else:
        typer.echo(_none(asked))


def _status(word: str | None) -> Status | None:
    if word is None:
        return None
    try:
        return Status(word.upper())
    except ValueError:
        raise ConfigError(
            f"--status {word} is not a status", near(word.upper(), list(Status))
        ) from None


def _progress(journal: Journal, run: Run) -> Progress:
    """From the journal's row when the run is over, else from the end of its event file."""
    if run.summary:
        return Progress(step=run.summary.get("steps", 0), summary=run.summary)
    return latest(journal, run, reach=REACH)


def _row(journal: Journal, run: Run, progress: Progress, now: float) -> Sequence[str]:
    goal = f"/{progress.steps:,}" if progress.steps else ""
    return (
        run.id,
        run.name or "",
        run.recipe,
        run.status,
        f"{progress.step:,}{goal}" if progress.step else "",
        score(journal, run, progress),
        units.age(now - run.submitted),
        units.duration((run.ended or now) - run.started) if run.started else "",
        run.reason,
    )


def score(journal: Journal, run: Run, progress: Progress) -> str:
    """The number the run goes by, on test if it is known there, else on valid."""
    if not progress.values:
        return ""
    try:
        name = journal.plan(run.id).evaluate.score
    except JournalError:
        name = "loss"
    for split in ("test", "valid"):
        if (value := progress.values.get(f"{split}/{name}")) is not None:
            return f"{name} {units.number(value)}"
    return ""


def _none(asked: Filter) -> str:
    if asked == EVERYTHING:
        return "no runs yet: turnaround run recipe=seq2seq"
    return "no such run: turnaround ls lists all"
