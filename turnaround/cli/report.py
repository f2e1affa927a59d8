"""`turnaround report`: what came out of a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from turnaround.cli import arguments, units
from turnaround.cli.again import command, titled
from turnaround.cli.steer import settle
from turnaround.cli.table import table
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run, home
from turnaround.sweep import pages, start
from turnaround.sweep.report import COLUMNS, Report, cost, made, rows, told

SHOWN = 10  # trials in the short form
SPARE = ("steps", "run", "why")
PASTED = ("asked", "run it")  # one line however long


def report(
    sweep: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP",
            help="A sweep's id, the beginning of it, or its name.",
            autocompletion=arguments.complete_runs,
            show_default=False,
        ),
    ],
    every: Annotated[bool, typer.Option("--all", "-a", help="Every trial, not the best.")] = False,
    as_json: arguments.AsJson = False,
) -> None:
    """Say what came out of a sweep, also while it runs: the winner, what mattered, what it cost.

    Writes the long form, with curves, as a page and as Markdown.

    \b
    turnaround report sweep-x7k2m
    turnaround report sweep-x7k2m --json | jq .lines[0].command
    """
    journal = Journal(home())
    run = settle(journal, arguments.found(journal, sweep))
    if not start.is_sweep(journal, run):
        raise JournalError(f"{run.id} is a run and no sweep", f"turnaround show {run.id}")
    found = made(journal, run.id, importance=True)
    page = pages.write(found, journal.folder(run.id) / "report")
    if as_json:
        whole = {**asdict(found), "total": found.total if found.total < 1e18 else None}
        winner = found.winner.number if found.winner else None
        typer.echo(json.dumps({**whole, "winner": winner, "page": str(page)}, indent=1))
        return
    typer.echo("\n".join(_lines(found, len(found.lines) if every else SHOWN)))
    typer.echo(titled("page", units.short(page)))


def short(journal: Journal, run: Run) -> str:
    """The last words about a sweep, without what takes long."""
    found = made(journal, run.id)
    last = [titled("more", f"turnaround report {run.id}")]
    if not found.total <= len(found.lines) or found.status != "SUCCEEDED":
        last.append(titled("go on", f"turnaround sweep --resume {run.id}"))
    return "\n".join([*_lines(found, SHOWN), *last])


def _lines(found: Report, most: int) -> Iterator[str]:
    why = f": {found.reason}" if found.reason else ""
    yield f"{found.sweep} {found.status} after {units.duration(found.wall)}{why}; {found.headline}"
    yield ""
    for title, text in [*told(found), *cost(found)]:
        yield command(title, text) if title in PASTED else titled(title, text)
    if found.lines:
        yield ""
        yield table(COLUMNS, rows(found)[:most], SPARE)
        hidden = len(found.lines) - most
        yield f"and {hidden} more: turnaround report {found.sweep} --all" if hidden > 0 else ""
