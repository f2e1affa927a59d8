"""`turnaround show`: everything about one run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import typer

from turnaround.cli.running.attach import last_words
from turnaround.cli.running.steer import settle
from turnaround.cli.verbs.plan import lines
from turnaround.cli.views import table, units
from turnaround.cli.views.record import record, strict_json
from turnaround.cli.views.tail import latest
from turnaround.cli.words import arguments
from turnaround.journal import Journal, Run, home
from turnaround.ledger import Account
from turnaround.ledger import settle as settled
from turnaround.spec import to_dict
from turnaround.tracking.start import lag

BAR = 30  # characters of a bar for all of the time


def show(run: arguments.OneRun, as_json: arguments.AsJson = False) -> None:
    """Show what was asked, how far it is, its scores, and where its files are.

    \b
    turnaround show seq2seq-k3x9e
    turnaround show wide --json | jq .plan.optim
    """
    journal = Journal(home())
    found = settle(journal, arguments.found(journal, run))
    plan = journal.plan(found.id)
    progress = latest(journal, found, plan.budget)
    account = settled(journal.events(found.id), time.time(), found.devices)
    if as_json:
        more = {**_accounts(account), "plan": to_dict(plan)}
        typer.echo(strict_json({**record(journal, found, progress), **more}, indent=1))
        return
    typer.echo(last_words(journal, found, progress))
    typer.echo()
    width = table.terminal_width() or table.WIDEST
    notices = [(event.kind, event.data["message"]) for event in progress.notices]
    for title, text in [*lines(plan), *_facts(journal, found), *notices]:
        typer.echo(table.wrapped(title, text, width))
    typer.echo()
    for line in _spent(account):
        typer.echo(line)


def _accounts(account: Account) -> dict[str, Any]:
    """Seconds by row, of the run and of each attempt, and device-seconds."""
    attempts = [
        {"attempt": number, "time": each.rows, "device_seconds": each.device_seconds}
        for number, each in account.attempts.items()
    ]
    whole = {"time": account.rows, "device_seconds": account.device_seconds}
    return {**whole, "attempts": attempts}


def _facts(journal: Journal, run: Run) -> Iterator[tuple[str, str]]:
    """What became of the plan."""
    yield "asked", _when(run.submitted)
    yield "attempts", str(run.attempt) + (f" ({run.failures} lost)" if run.failures else "")
    if run.tracking:
        yield "mlflow", _mlflow(journal, run)


def _spent(account: Account) -> Iterator[str]:
    """Where the time went, one line a row; rows below a millisecond are left out."""
    yield f"time        {units.duration(account.total)} from key press to recorded answer"
    for row, seconds in account.rows.items():
        if seconds >= 0.001:
            share = seconds / account.total
            yield f"  {row:<12}{seconds:9.3f} s {share:6.1%}  {'▇' * round(BAR * share)}".rstrip()


def _when(moment: float) -> str:
    local = datetime.fromtimestamp(moment).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %Z} ({units.ago(time.time() - moment)})"


def _mlflow(journal: Journal, run: Run) -> str:
    """Where the run is in MLflow, and whether all of it has arrived."""
    told = f"experiment {run.experiment} in {run.tracking}"
    if late := lag(journal.root, run.tracking):
        return f"{told}; {late.behind:,} events wait for it: {late.error}"
    return told if run.recorded else f"{told}; still being written"
