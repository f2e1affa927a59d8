"""`turnaround why`: where a run's time goes and what would change that; why it waits, or failed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import typer

from turnaround.advice.facts import gather
from turnaround.cli.running.steer import settle
from turnaround.cli.verdicts import failing, slow, waiting
from turnaround.cli.views.record import strict_json
from turnaround.cli.words import arguments
from turnaround.journal import Journal, Run, home
from turnaround.ledger import settle as settled
from turnaround.spec import Status

Told = tuple[dict[str, Any], Iterable[str]]  # for scripts, and for people


def why(run: arguments.OneRun, as_json: arguments.AsJson = False) -> None:
    """Say what to change: so that a run takes less time, starts now, or does not fail again.

    A run that runs or is over: what its time was lost to, the words that change it, and the seconds
    they would have saved. One that waits: what it lacks, who holds that, until when, and what would
    start it now. One that failed: the cause, the end of its log, the next command. Where a change
    leaves the question as it was, its answer is known: `turnaround run --again` asks anyway.

    \b
    turnaround why seq2seq-k3x9e
    turnaround why wide
    turnaround why seq2seq-k3x9e --json | jq -r '.advice[0].type'
    """
    journal = Journal(home())
    found = settle(journal, arguments.found(journal, run))
    told, lines = _told(journal, found)
    typer.echo(strict_json(told, indent=1) if as_json else "\n".join(lines))


def _told(journal: Journal, run: Run) -> Told:
    """What there is to say, by the run's status."""
    facts = gather(journal.events(run.id))
    account = settled(journal.events(run.id), time.time(), run.devices)
    told = {"id": run.id, "status": run.status, "total": account.total, "time": account.rows}
    if run.status is Status.QUEUED:
        wait = waiting.explain(journal, run)
        return {**told, "waiting": waiting.told(wait, facts)}, waiting.lines(run, facts, wait)
    if run.status is Status.FAILED:
        failure = failing.explain(journal, run, facts)
        return {**told, "failure": failing.told(failure)}, failing.lines(run, failure)
    case = slow.case(journal, run, account, facts)
    return {**told, "advice": slow.told(case)}, slow.lines(journal, run, case)
