"""`turnaround try`: use a trained model, a line at a time."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from turnaround.cli import arguments
from turnaround.errors import CheckpointError, LaunchError, RecipeError, TurnaroundError
from turnaround.journal import Journal, home

ANSWER = "turnaround.worker:answer"  # by its name: the command line itself does without torch
PROMPT = "> "


def try_(
    run: arguments.OneRun,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", "-t", metavar="LINE", help="A line to answer; may be given again."),
    ] = None,
) -> None:
    """Answer lines of standard input, or of --text, with a run's best parameters.

    \b
    turnaround try seq2seq-k3x9e --text 'the small cat sleeps'
    turnaround try seq2seq-k3x9e < questions.txt > answers.txt
    turnaround try seq2seq-k3x9e                      asks; Ctrl-D ends it
    """
    journal = Journal(home())
    found = journal.find(run)
    plan = journal.plan(found.id)
    code = journal.root / "snapshots" / (plan.place.snapshot or "") / "tree"
    if not Path(plan.place.project).is_dir():
        raise LaunchError(
            f"{found.id} belongs to {plan.place.project}, which is gone", "restore it"
        )
    answer = pkgutil.resolve_name(ANSWER)
    try:
        reply: Callable[[str], str] = answer(plan, journal.folder(found.id), code)
    except CheckpointError as error:
        if not found.status.over:
            raise
        message = f"run {found.id} ({found.status}) left no checkpoint to use"
        raise CheckpointError(message, f"turnaround show {found.id}") from error
    for line in text if text is not None else _lines():
        typer.echo(_answer(reply, line))
        sys.stdout.flush()  # whoever pipes lines in wants each answer at once


def _answer(reply: Callable[[str], str], line: str) -> str:
    try:
        return reply(line)
    except TurnaroundError:
        raise
    except Exception as error:  # the recipe's own code runs here: no mistake of ours
        message = f"the recipe's answer to {line!r:.80} failed: {type(error).__name__}: {error}"
        raise RecipeError(message, "--debug shows the traceback") from error


def _lines() -> Iterator[str]:
    """Standard input without line ends; on a terminal each line is asked for."""
    asks = sys.stdin.isatty()
    while True:
        if asks:
            print(PROMPT, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\r\n")
