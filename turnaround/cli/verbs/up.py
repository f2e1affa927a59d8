"""`turnaround up`: a warm pool, before the first run needs it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from turnaround.cli.views import units
from turnaround.journal import home
from turnaround.launch import facts
from turnaround.launch.pool import KEEP_WARM, Pool
from turnaround.pool.places import LOCAL


def up(
    keep_warm: Annotated[
        float,
        typer.Option(metavar="MINUTES", min=0.1, help="Idle time after which it ends itself."),
    ] = KEEP_WARM / 60,
    address: Annotated[
        str,
        typer.Option(metavar="IP", help="Of this machine: let other machines join there."),
    ] = LOCAL,
) -> None:
    """Start this machine's pool, or say what is there. `run` does so by itself.

    Another machine joins with Ray's own command, and this pool's token:

    \b
    turnaround up
    turnaround up --keep-warm 480
    turnaround up --address 10.0.0.5
    RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=ray.token ray start --address=10.0.0.5:PORT
    """
    pool = Pool(home())
    started = pool.ensure(typer.echo, facts.inventory(), keep_warm * 60, address)
    typer.echo(
        ("the pool is up: " if started else "the pool is up already: ") + told(pool.status())
    )
    if address != LOCAL:
        typer.echo(
            f"others join with the token in {pool.places.token}: RAY_AUTH_MODE=token "
            f"RAY_AUTH_TOKEN_PATH=ray.token ray start --address={pool.status()['address']}"
        )


def told(status: dict[str, Any]) -> str:
    """One line about a pool that is up."""
    devices, machines = status["inventory"], status.get("machines", 1)
    parts = [
        f"{devices['cpus']} CPU, {devices['gpus']} GPU"
        + (f" in {machines} machines" if machines > 1 else ""),
        f"process {status['pid']} for {units.duration(time.time() - status['since'])}",
        f"{len(status['running_runs'])} running, {len(status['queued_runs'])} waiting",
        f"ends after {units.duration(status['keep_warm'])} without work",
    ]
    return ", ".join(parts)
