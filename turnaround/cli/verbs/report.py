"""`turnaround report`: what came out of a sweep."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from turnaround.cli.running.steer import settle
from turnaround.cli.views import findings, units
from turnaround.cli.views.again import titled
from turnaround.cli.views.record import strict_json
from turnaround.cli.words import arguments
from turnaround.errors import JournalError
from turnaround.journal import Journal, home
from turnaround.sweep import pages, start
from turnaround.sweep.report import made


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
        typer.echo(strict_json({**whole, "winner": winner, "page": str(page)}, indent=1))
        return
    typer.echo("\n".join(findings.lines(found, len(found.lines) if every else findings.SHOWN)))
    typer.echo(titled("page", units.short(page)))
