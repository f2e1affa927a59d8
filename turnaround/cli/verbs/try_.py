"""`turnaround try`: use a trained model, a line at a time."""

from __future__ import annotations

import io
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from turnaround.cli import door
from turnaround.cli.meanwhile import meanwhile
from turnaround.cli.words import arguments
from turnaround.errors import (
    CheckpointError,
    JournalError,
    LaunchError,
    RecipeError,
    TurnaroundError,
)
from turnaround.journal import Journal, Run, home
from turnaround.sweep import start

ANSWER = "turnaround.worker:answer"  # by its name: the command line itself does without torch
PROMPT = "> "


def try_(
    run: arguments.OneRun,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", "-t", metavar="LINE", help="A line to answer; may be given again."),
    ] = None,
) -> int:
    """Answer lines of standard input, or of --text, with a run's best parameters.

    A line that cannot be answered is told on standard error, and leaves its own answer empty. A
    sweep stands for its winner.

    \b
    turnaround try seq2seq-k3x9e --text 'the small cat sleeps'
    turnaround try seq2seq-k3x9e < questions.txt > answers.txt
    turnaround try seq2seq-k3x9e                      asks; Ctrl-D ends it
    """
    journal = Journal(home())
    found = _trained(journal, arguments.found(journal, run))
    plan = journal.plan(found.id)
    code = journal.root / "snapshots" / (plan.place.snapshot or "") / "tree"
    if not Path(plan.place.project).is_dir():
        raise LaunchError(
            f"{found.id} belongs to {plan.place.project}, which is gone", "restore it"
        )
    try:
        with meanwhile("loading the model"):
            answer = pkgutil.resolve_name(ANSWER)
            reply: Callable[[str], str] = answer(plan, journal.folder(found.id), code)
    except CheckpointError as error:
        if not found.status.over:
            raise
        message = f"run {found.id} ({found.status}) left no checkpoint to use"
        raise CheckpointError(message, f"turnaround show {found.id}") from error
    asked = text if text is not None else _lines()
    codes = [_answered(reply, line) for line in asked]
    alone = text is None and sys.stdin.isatty()  # who was told of each line needs no exit code
    return 0 if alone else next(filter(None, codes), 0)


def _trained(journal: Journal, run: Run) -> Run:
    """The run; of a sweep the one that won, by its first seed."""
    if not start.is_sweep(journal, run):
        return run
    from turnaround.sweep.report import made

    winner = made(journal, run.id).winner
    if winner is None or not winner.runs:
        raise JournalError(f"sweep {run.id} has no winner yet", f"turnaround report {run.id}")
    typer.echo(f"{winner.runs[0]} won {run.id}: {winner.name}", err=True)
    return journal.run(winner.runs[0])


def _answered(reply: Callable[[str], str], line: str) -> int:
    """Print the answer, or say on standard error why there is none; the exit code of that."""
    code, answer = 0, ""
    try:
        answer = reply(line)
    except TurnaroundError as error:
        code = _told(type(error).__name__, error)
    except Exception as error:  # the recipe's own code runs here: no mistake of ours
        message = f"no answer to {line!r:.80}: {type(error).__name__}: {error}"
        code = _told("RecipeError", RecipeError(" ".join(message.split())))
    typer.echo(answer)
    sys.stdout.flush()  # whoever pipes lines in wants each answer at once
    return code


def _told(kind: str, error: TurnaroundError) -> int:
    """Say it in one line."""
    door.say(f"{kind}: {error.message}" + (f" → {error.hint}" if error.hint else ""))
    return error.exit_code


def _lines() -> Iterator[str]:
    """Standard input without line ends; on a terminal each line is asked for."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a line in another encoding must not end them all
    asks = sys.stdin.isatty()
    while True:
        if asks:
            print(PROMPT, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line.rstrip("\r\n")
