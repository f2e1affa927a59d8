"""`turnaround ls`: the runs, newest first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from turnaround.cli.running.steer import settle
from turnaround.cli.views import units
from turnaround.cli.views.outlook import REACH, ahead, waits
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.queue import listed as waiting
from turnaround.cli.views.record import record, strict_json
from turnaround.cli.views.table import table
from turnaround.cli.views.tail import latest
from turnaround.cli.words import arguments
from turnaround.errors import ConfigError, JournalError, near
from turnaround.journal import Journal, Run, home
from turnaround.spec import Status

COLUMNS = ("id", "name", "recipe", "status", "step", "score", "age", "took", "left", "reason")
SPARE = ("took", "recipe", "name", "age", "left", "step")  # on a narrow terminal, in this order
_ALIVE = "cluster='inline' AND status IN ('QUEUED','PENDING','RUNNING')"


@dataclass(frozen=True)
class Filter:
    """What a listed run must be."""

    name: str | None
    tags: dict[str, str]
    recipe: str | None
    status: Status | None

    def found(self, journal: Journal, limit: int) -> list[Run]:
        """The newest runs of which all holds that was asked."""
        told = [(f"{word}=?", [value]) for word, value in self._words() if value]
        if self.name is not None:
            told.append(("name GLOB ?", [self.name.replace("[!", "[^")]))
        told += [(_TAGGED, [key, value]) for key, value in self.tags.items()]
        values = [value for _, some in told for value in some]
        return journal.runs(" AND ".join(condition for condition, _ in told), values, limit)

    def _words(self) -> list[tuple[str, str | None]]:
        return [("recipe", self.recipe), ("status", self.status)]


_TAGGED = "EXISTS (SELECT 1 FROM json_each(tags) WHERE key=? AND value=?)"
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
    queue: Annotated[
        bool, typer.Option("--queue", "-q", help="Those that wait, the next one first, and why.")
    ] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    as_json: arguments.AsJson = False,
) -> None:
    """List runs, newest first.

    \b
    turnaround ls
    turnaround ls --status running
    turnaround ls --queue
    turnaround ls --recipe seq2seq --tag team=nlp --limit 100
    turnaround ls --name 'wide*' --json | jq '.[].id'
    """
    asked = Filter(name, arguments.parse_tags(tag), recipe, _status(status))
    journal = Journal(home())
    if queue:
        if asked != EVERYTHING:
            raise ConfigError("--queue lists all that waits", "leave the other words out")
        typer.echo(waiting(journal, limit, as_json))
        return
    for run in journal.runs(_ALIVE):
        settle(journal, run)
    runs = asked.found(journal, limit)
    known = list(zip(runs, _progresses(journal, runs), strict=True))
    if as_json:
        typer.echo(
            strict_json([record(journal, run, progress) for run, progress in known], indent=1)
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


def _progresses(journal: Journal, runs: list[Run]) -> Iterator[Progress]:
    """How far each is; the queue is asked once, if one of them waits."""
    queued = any(run.status is Status.QUEUED for run in runs)
    wait = waits(journal, time.time()) if queued else {}
    for run in runs:
        progress = _progress(journal, run)
        progress.wait = wait.get(run.id)
        yield progress


def _progress(journal: Journal, run: Run) -> Progress:
    """From the journal's row when the run is over, else from the end of its event file."""
    if run.summary:
        done = {"step": run.summary.get("steps", 0), "summary": run.summary}
        return Progress(status=run.status, **done)
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
        ahead(progress, now),
        run.reason,
    )


def score(journal: Journal, run: Run, progress: Progress) -> str:
    """The number the run goes by, on test if it is known there, else on valid."""
    if not progress.values:
        return ""
    name = run.asked.get("score") or _asked_score(journal, run)
    for split in ("test", "valid"):
        if (value := progress.values.get(f"{split}/{name}")) is not None:
            return f"{name} {units.number(value)}"
    return ""


def _asked_score(journal: Journal, run: Run) -> str:
    """Of a run that an earlier turnaround took into the journal."""
    try:
        return journal.plan(run.id).evaluate.score
    except JournalError:
        return "loss"


def _none(asked: Filter) -> str:
    if asked == EVERYTHING:
        return "no runs yet: turnaround run recipe=seq2seq"
    return "no such run: turnaround ls lists all"
