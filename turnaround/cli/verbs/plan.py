"""`turnaround plan`: what a run would do, without doing it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from turnaround.cli.meanwhile import meanwhile
from turnaround.cli.views import table, units
from turnaround.cli.views.record import strict_json
from turnaround.cli.words import arguments
from turnaround.cli.words.planning import inventory, planned
from turnaround.journal import Journal, home
from turnaround.spec import Fit, Plan, to_dict


def plan(
    overrides: arguments.Words = None,
    name: arguments.Name = None,
    tag: arguments.TagWords = None,
    target: arguments.Target = None,
    devices: arguments.Devices = None,
    by: arguments.By = None,
    cost: arguments.Cost = None,
    probe: arguments.Probe = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without a look at the model, which takes a moment.")
    ] = False,
    as_json: arguments.AsJson = False,
) -> None:
    """Show what a run would do, with every default filled in, and refuse what cannot be.

    Nothing is started or written, but for a probe that chooses update=auto or is asked for: a few
    steps with batches of all sizes, in processes that are thrown away. The model is built, not
    trained: how large it is, whether it can be cut as the layout says, and which scores it tells.
    With --json the settings alone are shown. What takes part in the signature is the question:
    another layout, name or store is the same question, and its answer is found again.

    \b
    turnaround plan recipe=seq2seq
    turnaround plan recipe=seq2seq layout=ddp layout.replicate=2
    turnaround plan experiment=tatoeba --json | jq .optim
    turnaround plan recipe=seq2seq --probe
    turnaround plan recipe=seq2seq --target bleu=30 --devices 8 --by 07:00
    """
    chosen: list[str] = []
    made, file = planned(
        overrides or [],
        name,
        arguments.parse_tags(tag),
        lambda choice: chosen.extend(choice.lines()),
    )
    if as_json:
        typer.echo(strict_json(to_dict(made), indent=1))
        return
    width = min(table.terminal_width() or table.WIDEST, table.WIDEST)
    for title, text in lines(made):
        typer.echo(table.wrapped(title, text, width))
    for i, line in enumerate(chosen):
        typer.echo(table.wrapped("" if i else "auto", line, width))
    if known := Journal(home()).answer(made.signature):
        typer.echo(table.wrapped("asked", f"before, as {known.id} ({known.status})", width))
    if not quick:
        from turnaround.launch import preflight

        with meanwhile("looking at the model"):
            text = _model(made, preflight.look(made, file, home()))
        typer.echo(table.wrapped("model", text, width))
    wish = arguments.Sought(target, devices, by, cost, probe, overrides or [])
    if probe or any(limit is not None for limit in (target, devices, by, cost)):
        from turnaround.cli.verdicts import worth  # scipy: 0.4 s

        typer.echo()
        for line in worth.answer(made, Journal(home()), inventory(made.cluster), wish):
            typer.echo(line)


def _model(plan: Plan, fit: Fit) -> str:
    """`2,431,000 parameters, 39 MB with gradients and adam's state; tells loss, bleu`."""
    kept = "" if plan.optim.name == "sgd" else f" and the state of {plan.optim.name}"
    most = "" if fit.portion == fit.parameters else f"; at most {fit.portion:,} on a device"
    told = f"; its scores: {', '.join(fit.scores)}" if fit.scores else ""
    size = f"{units.size(fit.bytes)} a device with gradients{kept}, before activations"
    return f"{units.counted(fit.parameters, 'parameter')}{most}; {size}{told}"


# Knobs that only some options of their group ask for; the others are shown without them.
ONLY: dict[str, dict[str, tuple[str, ...]]] = {
    "layout": {"sequence": ("tensor",)},
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
RARE = {"sortagrad": False, "whole": False, "grow": 1}  # of data; shown where somebody asks for it
SCHEDULES = {"halving": ("halve_after", "halve_every"), "wsd": ("decay_after", "decay")}


def _asked(group: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The knobs of a group without those that its option does not look at."""
    only = ONLY.get(group, {})
    kept = {key: v for key, v in fields.items() if key not in only or fields["name"] in only[key]}
    others = {
        key for name, keys in SCHEDULES.items() if fields.get("schedule") != name for key in keys
    }
    if group == "data":
        others = {key for key, usual in RARE.items() if fields[key] == usual}
    return {key: value for key, value in kept.items() if key not in others}


def lines(plan: Plan) -> list[tuple[str, str]]:
    """A title and its settings, for each part of the plan; what is none is left out."""
    fields, place = to_dict(plan), plan.place
    groups = ("data", "optim", "layout", "update", "budget", "evaluate", "checkpoint")
    commit = f"{place.git_sha[:12]}{' with changes' * place.dirty}" if place.git_sha else "no git"
    told = [
        ("recipe", _settings({"name": plan.recipe.name, **plan.recipe.knobs})),
        *((group, _settings(_asked(group, fields[group]))) for group in groups),
        ("seed", f"{plan.seed} precision={plan.precision}"),
        ("init_from", " ".join(filter(None, (plan.init_from, plan.start)))),
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
