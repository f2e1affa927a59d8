"""`turnaround up`: a warm pool, before the first run needs it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from turnaround.cli import units
from turnaround.journal import home
from turnaround.launch import facts
from turnaround.launch.pool import KEEP_WARM, Pool


def up(
    keep_warm: Annotated[
        float,
        typer.Option(metavar="MINUTES", min=0.1, help="Idle time after which it ends itself."),
    ] = KEEP_WARM / 60,
) -> None:
    """Start this machine's pool, or say what is there. `run` does so by itself.

    \b
    turnaround up
    turnaround up --keep-warm 480
    """
    pool = Pool(home())
    started = pool.ensure(typer.echo, facts.inventory(), keep_warm * 60)
    typer.echo(
        ("the pool is up: " if started else "the pool is up already: ") + told(pool.status())
    )


def told(status: dict[str, Any]) -> str:
    """One line about a pool that is up."""
    devices = status["inventory"]
    parts = [
        f"{devices['cpus']} CPU, {devices['gpus']} GPU",
        f"process {status['pid']} for {units.duration(time.time() - status['since'])}",
        f"{len(status['running_runs'])} running, {len(status['queued_runs'])} waiting",
        f"ends after {units.duration(status['keep_warm'])} without work",
    ]
    return ", ".join(parts)
