"""`turnaround resume`: go on from the last checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from turnaround.cli.running.attach import Manner, attach, conclude, leave
from turnaround.cli.running.here import carry_out
from turnaround.cli.running.steer import PoolSteer, settle
from turnaround.cli.spans import Spans
from turnaround.cli.words import arguments
from turnaround.errors import ConfigError
from turnaround.journal import Journal, Run, home
from turnaround.launch.pool import Pool
from turnaround.spec import Status
from turnaround.sweep import start


def resume(
    run: arguments.OneRun,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Queue it and return.")] = False,
    as_json: arguments.JsonAtTheEnd = False,
) -> int:
    """Continue a run from its last checkpoint, with the code it began with.

    \b
    turnaround resume seq2seq-k3x9e
    turnaround resume seq2seq-k3x9e --detach
    """
    journal, spans = Journal(home()), Spans()
    found = settle(journal, arguments.found(journal, run))
    if start.is_sweep(journal, found):
        raise ConfigError(f"{found.id} is a sweep", f"turnaround sweep --resume {found.id}")
    if found.status is Status.SUCCEEDED:
        typer.echo(f"{found.id} has finished: nothing is left to do", err=as_json)
        conclude(journal, found, None, as_json)
        return 0
    if found.cluster == "inline" and found.status.over:
        if detach:
            what = f"{found.id} is inline: --detach leaves nobody to carry it out"
            raise ConfigError(what, "drop it")
        return _inline(journal, found, as_json, spans)
    if found.cluster == "pool":
        _pool(journal, found, as_json, spans)
    if found.cluster == "remote" and found.status.over:
        _remote(journal, found)
    if detach:
        words = f"{found.id} goes on: turnaround watch {found.id}"
        return leave(journal, journal.run(found.id), words, as_json)
    return attach(journal, journal.run(found.id), Manner(as_json))


def _pool(journal: Journal, run: Run, as_json: bool, spans: Spans) -> None:
    """A pool is up and has the run, which it may have had all the time."""
    pool = Pool(journal.root)
    with spans("pool"):
        PoolSteer(pool).start(lambda text: typer.echo(text, err=as_json))
    if run.status.over:
        pool.resume(run.id, spans.told())


def _remote(journal: Journal, run: Run) -> None:
    from turnaround.launch.remote import Remote

    Remote(journal.plan(run.id).cluster.address, journal).resume(run)


def _inline(journal: Journal, run: Run, as_json: bool, spans: Spans) -> int:
    from turnaround.launch import inline

    def act(watch: inline.Watch) -> int:
        return inline.resume(run.id, journal, watch, spans.told())

    return carry_out(journal, run.id, act, as_json)
