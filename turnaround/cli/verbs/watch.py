"""`turnaround watch`: the live view of a run that goes on somewhere."""

from __future__ import annotations

from turnaround.cli.running.attach import Manner, attach, conclude
from turnaround.cli.running.steer import settle
from turnaround.cli.words import arguments
from turnaround.journal import Journal, home


def watch(run: arguments.OneRun, as_json: arguments.JsonAtTheEnd = False) -> int:
    """Show a run until it is over. Leaving it does not stop it.

    \b
    turnaround watch seq2seq-k3x9e
    turnaround watch seq2seq-k3x9e && echo done        (exits as the run does)
    """
    journal = Journal(home())
    found = settle(journal, arguments.found(journal, run))
    if not found.status.over:
        return attach(journal, found, Manner(as_json, stops=False))
    conclude(journal, found, None, as_json)
    return found.exit_code or 0
