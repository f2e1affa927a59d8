"""`turnaround run`: ask a question, and watch it being answered."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from turnaround.cli.running.attach import Manner, attach, conclude, leave
from turnaround.cli.running.here import carry_out
from turnaround.cli.running.steer import PoolSteer, settle
from turnaround.cli.spans import Spans
from turnaround.cli.views import units
from turnaround.cli.words import arguments, completion
from turnaround.cli.words.planning import check, planned
from turnaround.errors import ConfigError
from turnaround.journal import Journal, Run, home
from turnaround.launch.pool import Pool
from turnaround.spec import Plan, Status


@dataclass(frozen=True)
class Wish:
    """How the run is to be launched and told about."""

    detach: bool
    again: bool
    as_json: bool

    def say(self, text: str) -> None:
        """A line for people, out of the way of JSON."""
        typer.echo(text, err=self.as_json)


def run(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="What to run: group=option, key=value.",
            autocompletion=completion.overrides,
            show_default=False,
        ),
    ] = None,
    name: arguments.Name = None,
    tag: arguments.TagWords = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Submit it and return.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run it even if it was answered.")] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="With the batch and devices that `plan` would choose.")
    ] = False,
    target: arguments.Target = None,
    devices: arguments.Devices = None,
    by: arguments.By = None,
    cost: arguments.Cost = None,
    probe: arguments.Probe = None,
    as_json: arguments.JsonAtTheEnd = False,
) -> int:
    """Train a recipe, and watch it learn.

    A question that was answered before is answered from the journal. Ctrl-C on a terminal offers to
    detach or to stop; without one it saves and stops. The run does not end with its terminal. With
    --auto, batch, steps, learning rate and devices are those that `turnaround plan` would choose.

    \b
    turnaround run recipe=seq2seq
    turnaround run recipe=seq2seq optim.lr=0.002 recipe.width=512 --name wide
    turnaround run recipe=seq2seq layout=ddp layout.replicate=2 --detach
    turnaround run recipe=seq2seq cluster=inline      here: breakpoint() works
    turnaround run recipe=seq2seq cluster=remote cluster.address=http://10.0.0.5:8265
    turnaround run recipe=seq2seq --auto --target bleu=30 --by 07:00
    turnaround run recipe=seq2seq --json | jq .values

    \b
    exits with  0 done                      1 the recipe failed
                2 asked wrongly             3 the machine gave up
                4 a loss was not finite    75 stopped by somebody else
              130 stopped with Ctrl-C
    """
    wish, spans = Wish(detach, again, as_json), Spans(overrides or ())
    journal = Journal(home())
    sought = arguments.Sought(target, devices, by, cost, probe)
    if not auto and sought != arguments.Sought():
        message = "--target, --devices, --by, --cost and --probe say what --auto is to choose"
        raise ConfigError(message, "turnaround run … --auto, or turnaround plan …")
    with spans("plan"):
        told = arguments.parse_tags(tag)
        if auto:
            spans.words = _chosen(replace(sought, words=spans.words), wish)
        plan, recipe_file = planned(
            spans.words, name, told, lambda choice: wish.say(f"update=auto: {choice.line()}")
        )
    if not again and (known := _known(journal, plan)):
        return _tell(journal, known, wish)
    return _launched(journal, plan, recipe_file, wish, spans)


def _chosen(sought: arguments.Sought, wish: Wish) -> list[str]:
    """The words that `--auto` stands for."""
    from turnaround.cli.verdicts import auto  # scipy: 0.4 s

    return auto.chosen(sought, wish.say)


# ── asked before ──


def _known(journal: Journal, plan: Plan) -> Run | None:
    """The run that answers, or is about to; inline ones whose process was killed do not count."""
    found = journal.answer(plan.signature)
    while found and settle(journal, found).status is Status.STOPPED:
        found = journal.answer(plan.signature)
    return found


def _tell(journal: Journal, known: Run, wish: Wish) -> int:
    """Answer from the journal, or watch the run that will answer."""
    if known.status is Status.SUCCEEDED:
        ended = units.ago(time.time() - (known.ended or known.submitted))
        wish.say(f"{known.id} answered this {ended}; --again runs it anyway")
        conclude(journal, known, None, wish.as_json)
        return 0
    wish.say(f"{known.id} is at it already ({known.status}); --again starts another")
    if known.cluster == "pool":
        PoolSteer(Pool(journal.root)).start(wish.say)
    if wish.detach:
        return _left(journal, known, wish)
    return attach(journal, known, Manner(wish.as_json))


def _left(journal: Journal, run: Run, wish: Wish) -> int:
    return leave(journal, run, f"{run.id} {run.status}: turnaround watch {run.id}", wish.as_json)


# ── launching ──


def _launched(journal: Journal, plan: Plan, recipe_file: Path, wish: Wish, spans: Spans) -> int:
    """Freeze the code, and carry the plan out where it belongs."""
    from turnaround.launch import base

    inline = plan.cluster.name == "inline"
    if inline and wish.detach:
        raise ConfigError("cluster=inline with --detach has nobody to carry it out", "choose one")
    if plan.cluster.name == "pool" and journal.queue() and Pool(journal.root).record():
        with spans("plan"):  # where nobody is before it, its own first seconds say the same
            check(plan, recipe_file)
    with spans("snapshot"):
        plan = base.frozen(plan, recipe_file, journal.root)
    if inline:
        return _inline(journal, plan, wish.as_json, spans)
    if plan.cluster.name == "remote":
        return _remote(journal, plan, wish, spans)
    return _pool(journal, plan, wish, spans)


def _pool(journal: Journal, plan: Plan, wish: Wish, spans: Spans) -> int:
    """Queue the plan on this machine's pool, started if need be."""
    pool = Pool(journal.root)
    with spans("pool"):
        PoolSteer(pool).start(wish.say)
    with _interrupts_held() as held:
        run, known = pool.submit(plan, wish.again, spans.told())
    if known:
        return _tell(journal, run, wish)
    if wish.detach:
        return _left(journal, run, wish)
    return attach(journal, run, Manner(wish.as_json, fresh=True, interrupted=bool(held)))


def _remote(journal: Journal, plan: Plan, wish: Wish, spans: Spans) -> int:
    """Hand the plan to another cluster, and listen."""
    from turnaround.launch.remote import Remote

    with _interrupts_held() as held:
        run = Remote(plan.cluster.address, journal).submit(plan, spans.told())
    if wish.detach:
        return _left(journal, run, wish)
    return attach(journal, run, Manner(wish.as_json, fresh=True, interrupted=bool(held)))


@contextmanager
def _interrupts_held() -> Iterator[list[int]]:
    """Ctrl-C waits, lest a run be submitted and lost from sight; what came is in the list."""
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)


def _inline(journal: Journal, plan: Plan, as_json: bool, spans: Spans) -> int:
    """Carry the plan out in this process."""
    from turnaround.launch import inline

    run = inline.submit(plan, journal, spans.told())
    return carry_out(journal, run, lambda watch: inline.begin(run, journal, watch), as_json)
