"""`turnaround show`: everything about one run."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import typer

from turnaround.cli import arguments, units
from turnaround.cli.closing import closing
from turnaround.cli.record import record
from turnaround.cli.steer import settle
from turnaround.cli.tail import latest
from turnaround.journal import Journal, Run, home
from turnaround.spec import Plan, to_dict
from turnaround.tracking.start import lag


def show(run: arguments.OneRun, as_json: arguments.AsJson = False) -> None:
    """Show what was asked, how far it is, its scores, and where its files are.

    \b
    turnaround show seq2seq-k3x9e
    turnaround show wide --json | jq .plan.optim
    """
    journal = Journal(home())
    found = settle(journal, journal.find(run))
    plan = journal.plan(found.id)
    progress = latest(journal, found, plan.budget)
    if as_json:
        typer.echo(
            json.dumps({**record(journal, found, progress), "plan": to_dict(plan)}, indent=1)
        )
        return
    typer.echo(closing(journal, found, progress))
    typer.echo()
    typer.echo("\n".join(f"  {name:<10} {value}" for name, value in _facts(journal, found, plan)))


def _facts(journal: Journal, run: Run, plan: Plan) -> list[tuple[str, str]]:
    asked = to_dict(plan)
    facts = [("recipe", plan.recipe.name + _settings(plan.recipe.knobs))]
    facts += [
        (group, _group(asked[group])) for group in ("data", "optim", "layout", "update", "budget")
    ]
    facts += [
        ("seed", f"{plan.seed}, {plan.precision}"),
        ("cluster", _group(asked["cluster"])),
        ("name", run.name or ""),
        ("tags", _settings(run.tags).strip()),
        ("asked", _when(run.submitted)),
        ("attempts", str(run.attempt) + (f" ({run.failures} lost)" if run.failures else "")),
        ("signature", run.signature),
        ("code", _code(plan)),
        ("mlflow", _mlflow(journal, run)),
    ]
    return [(name, value) for name, value in facts if value]


def _group(fields: dict[str, Any]) -> str:
    """`adam lr=0.001 …`: the option's name, then what is set."""
    rest = {key: value for key, value in fields.items() if key != "name"}
    return (str(fields.get("name", "")) + _settings(rest)).strip()


def _settings(fields: dict[str, Any]) -> str:
    return "".join(f" {key}={value}" for key, value in fields.items() if value is not None)


def _when(moment: float) -> str:
    local = datetime.fromtimestamp(moment).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %Z} ({units.age(time.time() - moment)} ago)"


def _code(plan: Plan) -> str:
    """Where the code came from."""
    git = (
        f"git {plan.place.git_sha[:12]}{' with changes' if plan.place.dirty else ''}, "
        if plan.place.git_sha
        else ""
    )
    return f"{git}{plan.place.recipe_file} of {plan.place.project}"


def _mlflow(journal: Journal, run: Run) -> str:
    """Where the run is in MLflow, and whether all of it has arrived."""
    if not run.tracking:
        return ""
    told = f"experiment {run.experiment} in {run.tracking}"
    if late := lag(journal.root, run.tracking):
        return f"{told}; {late.behind:,} events wait for it: {late.error}"
    return told if run.recorded else f"{told}; still being written"
