"""`turnaround watch`: the live view of a run that goes on somewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from turnaround.cli import arguments
from turnaround.cli.attach import attach, conclude
from turnaround.cli.steer import settle
from turnaround.journal import Journal, home


def watch(
    run: arguments.OneRun,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON at the end; progress on standard error.")
    ] = False,
) -> int:
    """Show a run until it is over. Leaving it does not stop it.

    \b
    turnaround watch seq2seq-k3x9e
    turnaround watch seq2seq-k3x9e && echo done        (exits as the run does)
    """
    journal = Journal(home())
    found = settle(journal, journal.find(run))
    if not found.status.over:
        return attach(journal, found, as_json, stops=False)
    conclude(journal, found, None, as_json)
    return found.exit_code or 0
