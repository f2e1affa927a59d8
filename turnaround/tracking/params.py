"""What MLflow is told about a run in words: params, tags, status, and names it accepts."""

from __future__ import annotations

import functools
import posixpath
import re
from typing import Any

from turnaround.journal import Run
from turnaround.signature import canonical
from turnaround.spec import Plan, Status, to_dict

KEY, VALUE, TAG = 250, 6000, 5000  # characters that every MLflow backend takes
GROUPS = (
    "recipe",
    "data",
    "optim",
    "layout",
    "update",
    "budget",
    "evaluate",
    "checkpoint",
    "cluster",
)
SINGLE = ("seed", "precision", "init_from")

STATUS = {
    Status.PLANNED: "SCHEDULED",
    Status.QUEUED: "SCHEDULED",
    Status.PENDING: "SCHEDULED",
    Status.RUNNING: "RUNNING",
    Status.SUCCEEDED: "FINISHED",
    Status.FAILED: "FAILED",
    Status.STOPPED: "KILLED",
}


def params(plan: Plan) -> dict[str, str]:
    """The plan as `optim.lr`, `recipe.width`, …: words of the command line, alike in every run."""
    fields = to_dict(plan)
    fields["recipe"] = {"name": plan.recipe.name, **plan.recipe.knobs}
    flat = {name: fields[name] for name in SINGLE}
    for group in GROUPS:
        flat |= {f"{group}.{name}": value for name, value in fields[group].items()}
    return {key(name): text(value)[:VALUE] for name, value in flat.items()}


def tags(run: Run, plan: Plan) -> dict[str, str]:
    """The user's tags, ours, and those from which MLflow shows name, source and commit."""
    ours = {
        "turnaround.run": run.id,
        "turnaround.recipe": plan.recipe.name,
        "turnaround.signature": plan.signature,
        "turnaround.version": plan.version,
        "turnaround.dirty": text(plan.place.dirty),
        "turnaround.git_sha": plan.place.git_sha or "",
        "mlflow.source.git.commit": plan.place.git_sha or "",
        "mlflow.source.name": plan.place.recipe_file,
        "mlflow.source.type": "LOCAL",
        "mlflow.runName": plan.name or run.id,
    }
    return {key(name): value[:TAG] for name, value in {**plan.tags, **ours}.items()}


def life(run: Run) -> dict[str, str]:
    """The tags that follow a run's life: its status, and the one-line answer as its description."""
    return {"turnaround.status": run.status, "mlflow.note.content": answer(run)[:TAG]}


def answer(run: Run) -> str:
    """What has come out of the run, in one line."""
    values = run.summary.get("values", {})
    said = ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items(), key=_rank))
    if said:
        said += f" after {run.summary.get('steps', 0):,} steps"
    if run.status is not Status.SUCCEEDED:
        said = "; ".join(filter(None, [run.status.lower(), run.reason, said]))
    return said


@functools.lru_cache(4096)  # a run says the same few names all its life: 3 µs for each metric
def key(name: str) -> str:
    """The nearest name to `name` that MLflow accepts for a param, a metric or a tag."""
    allowed = re.sub(r"[^\w.\- :/]", "_", name)[:KEY]
    return posixpath.normpath("/" + allowed).lstrip("/.") or "_"  # no "..", no empty part


def text(value: Any) -> str:
    """A knob's value as one would type it."""
    return value if isinstance(value, str) else canonical(value)


def _rank(item: tuple[str, float]) -> tuple[bool, str]:
    return not item[0].startswith("test/"), item[0]
