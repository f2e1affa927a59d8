"""`turnaround run`: ask a question, and watch it being answered."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from turnaround.cli import arguments, complete
from turnaround.errors import ConfigError


def run(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GROUP=OPTION | KEY=VALUE]...",
            help="What to run; see `turnaround recipes`.",
            autocompletion=complete.overrides,
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name to find it by.", metavar="NAME")] = None,
    tag: arguments.TagWords = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Submit it and return.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run it even if it was answered.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON at the end; progress on standard error.")
    ] = False,
) -> int:
    """Train a recipe, and watch it learn.

    A question that was answered before is answered from the journal. Ctrl-C on a terminal offers to
    detach or to stop; without one it saves and stops. The run does not end with its terminal.

    \b
    turnaround run recipe=seq2seq
    turnaround run recipe=seq2seq optim.lr=0.002 recipe.width=512 --name wide
    turnaround run recipe=seq2seq layout=ddp layout.replicate=2 --detach
    turnaround run recipe=seq2seq cluster=inline      (in this process: breakpoint() works)
    turnaround run recipe=seq2seq --json | jq .values

    \b
    exit  0 done   1 the recipe failed   2 asked wrongly   3 the machine gave up
          4 not finite   75 stopped by somebody else   130 stopped with Ctrl-C
    """
