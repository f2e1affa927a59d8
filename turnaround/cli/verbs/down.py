"""`turnaround down`: end the pool and every process of it."""

from __future__ import annotations

import typer

from turnaround.journal import home
from turnaround.launch.pool import Pool


def down() -> None:
    """Stop this machine's pool. Running runs are saved; they go on with the next pool.

    \b
    turnaround down
    """
    ended = Pool(home()).down(typer.echo)
    typer.echo("the pool is down" if ended else "no pool was up")
