"""`turnaround plan`: what a run would do, without doing it."""

from __future__ import annotations

import json
import textwrap
from typing import Annotated, Any

import typer

from turnaround.cli import arguments, complete, table
from turnaround.cli.planning import inventory, planned
from turnaround.journal import Journal, home
from turnaround.spec import Plan, to_dict

WIDEST = 100  # columns, however wide the terminal is
INDENT = 12


def plan(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GROUP=OPTION | KEY=VALUE]...",
            help="As for `turnaround run`.",
            autocompletion=complete.overrides,
            show_default=False,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name to find it by.", metavar="NAME")] = None,
    tag: arguments.TagWords = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="What it would take to get there, by runs before.", metavar="SCORE=VALUE"
        ),
    ] = None,
    devices: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    by: Annotated[str | None, typer.Option(help="At the latest: 07:00, or 2h from now.")] = None,
    cost: Annotated[float | None, typer.Option(help="At most so many device-hours.")] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """Show what a run would do, with every default filled in, and refuse what cannot be.

    Nothing is started or written, but for the short probe that chooses update=auto. What takes part
    in the signature is the question: another layout, name or store is the same question, and its
    answer is found again.

    \b
    turnaround plan recipe=seq2seq
    turnaround plan recipe=seq2seq layout=ddp layout.replicate=2
    turnaround plan experiment=tatoeba --json | jq .optim
    turnaround plan recipe=seq2seq --target bleu=30 --devices 8 --by 07:00
    """
    chosen: list[str] = []
    made, _ = planned(
        overrides or [],
        name,
        arguments.parse_tags(tag),
        lambda choice: chosen.extend(choice.lines()),
    )
    if as_json:
        typer.echo(json.dumps(to_dict(made), indent=1))
        return
    width = min(table.terminal_width() or WIDEST, WIDEST)
    for title, text in lines(made):
        typer.echo(wrapped(title, text, width))
    for i, line in enumerate(chosen):
        typer.echo(wrapped("" if i else "auto", line, width))
    if known := Journal(home()).answer(made.signature):
        typer.echo(wrapped("asked", f"before, as {known.id} ({known.status})", width))
    if any(wish is not None for wish in (target, devices, by, cost)):
        from turnaround.cli import worth  # scipy: 0.4 s

        wish = worth.Wish(target, devices, by, cost)
        typer.echo()
        for line in worth.lines(made, Journal(home()), inventory(made.cluster), wish):
            typer.echo(line)


# Knobs that only some options of their group ask for; the others are shown without them.
ONLY = {
    "optim": {
        "momentum": ("momentum",),
        "betas": ("adam", "adamw"),
        "eps": ("adam", "adamw", "adagrad"),
        "history": ("lbfgs",),
        "inner": ("lbfgs",),
        "line_search": ("lbfgs",),
    },
    "update": {
        "every": ("local", "async", "hybrid"),
        "pull": ("async", "hybrid"),
        "outer_lr": ("local",),
        "outer_momentum": ("local",),
        "spares": ("backup",),
        "warm": ("async", "hybrid"),
        "bound": ("async", "hybrid"),
        "stale_lr": ("async", "hybrid"),
        "shards": ("async", "hybrid"),
    },
}
HALVING = ("halve_after", "halve_every")


def _asked(group: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The knobs of a group without those that its option does not look at."""
    only = ONLY.get(group, {})
    kept = {key: v for key, v in fields.items() if key not in only or fields["name"] in only[key]}
    halves = kept.get("schedule") == "halving"
    return {key: value for key, value in kept.items() if halves or key not in HALVING}


def lines(plan: Plan) -> list[tuple[str, str]]:
    """A title and its settings, for each part of the plan; what is none is left out."""
    fields, place = to_dict(plan), plan.place
    groups = ("data", "optim", "layout", "update", "budget", "evaluate", "checkpoint")
    commit = f"{place.git_sha[:12]}{' with changes' * place.dirty}" if place.git_sha else "no git"
    told = [
        ("recipe", _settings({"name": plan.recipe.name, **plan.recipe.knobs})),
        *((group, _settings(_asked(group, fields[group]))) for group in groups),
        ("seed", f"{plan.seed} precision={plan.precision}"),
        ("init_from", plan.init_from or ""),
        ("cluster", _settings(fields["cluster"])),
        ("tracking", _settings({**fields["tracking"], "experiment": plan.experiment})),
        ("name", plan.name or ""),
        ("tags", _settings(plan.tags)),
        ("project", f"{place.project} ({commit})"),
        ("python", place.interpreter),
        ("signature", plan.signature),
    ]
    return [(title, text) for title, text in told if text]


def _settings(fields: dict[str, Any]) -> str:
    """`adam lr=0.001 …`: the option's name, then what is set."""
    words = [f"{key}={_value(value)}" for key, value in fields.items() if value not in (None, {})]
    return " ".join(words).removeprefix("name=")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def wrapped(title: str, text: str, width: int) -> str:
    """A titled line, broken where it is too wide, its rest below its beginning."""
    indent = " " * INDENT
    return textwrap.fill(
        table.plain(text),
        max(width, 3 * INDENT),
        initial_indent=f"{title:<{INDENT}}",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
