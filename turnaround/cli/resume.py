"""`turnaround resume`: go on from the last checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from turnaround.cli import arguments
from turnaround.cli.attach import attach, conclude
from turnaround.cli.steer import settle
from turnaround.journal import Journal, home
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.spec import Status


def resume(
    run: arguments.OneRun,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Queue it and return.")] = False,
    as_json: arguments.AsJson = False,
) -> int:
    """Continue a run that was stopped or failed, from its last checkpoint, with the code it was started with.

    \b
    turnaround resume seq2seq-k3x9e
    turnaround resume seq2seq-k3x9e --detach
    """
