"""Config and facts → Plan: what will be done, or PlanError saying why it cannot be.

plan = make(config, facts)      # pure: no file is read, no clock, no environment
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from turnaround.config import Config
from turnaround.errors import PlanError
from turnaround.signature import signature
from turnaround.spec import Cluster, Data, Inventory, Layout, Place, Plan, Tracking


@dataclass(frozen=True)
class Facts:
    """What a Config cannot know: gathered at the door (`launch/facts.py`)."""

    place: Place
    data: Data  # with absolute paths
    inventory: Inventory
    version: str  # of turnaround


def make(config: Config, facts: Facts) -> Plan:
    """The Plan; PlanError when the words are right, but what they ask for cannot be."""
    device = _device(config.cluster.device, facts.inventory)
    layout = _layout(config.layout, device, facts.inventory)
    _check_budget(config)
    _check_batch(config, layout)
    plan = Plan(
        recipe=config.recipe,
        data=facts.data,
        optim=config.optim,
        layout=layout,
        update=config.update,
        budget=config.budget,
        evaluate=config.evaluate,
        checkpoint=config.checkpoint,
        cluster=_cluster(config.cluster, device, layout, facts.inventory),
        tracking=_tracking(config.tracking, facts.place.project),
        place=facts.place,
        signature="",
        seed=config.seed,
        precision=config.precision,
        name=config.name,
        tags=config.tags,
        version=facts.version,
    )
    return replace(plan, signature=signature(science(plan)))


def science(plan: Plan) -> dict[str, Any]:
    """What makes a run that run and no other; the signature is the hash of this.

    An exact layout and update, name, tags, cluster, tracking and checkpoints do not count. Under
    a budget of time the devices decide how far it gets, so they do.
    """
    counts = {
        "recipe": asdict(plan.recipe),
        "code": plan.place.code,
        "data": {"files": plan.place.data, "batch": plan.data.batch, "bucket": plan.data.bucket},
        "optim": asdict(plan.optim),
        "budget": asdict(plan.budget),
        "evaluate": asdict(plan.evaluate),
        "seed": plan.seed,
        "precision": plan.precision,
        "turnaround": plan.version.split(".")[:2],
    }
    if plan.budget.time is not None:
        counts |= {"layout": asdict(plan.layout), "device": plan.cluster.device}
    return counts


# ── devices ──


def _device(asked: Literal["auto", "cpu", "cuda"], inventory: Inventory) -> Literal["cpu", "cuda"]:
    if asked == "auto":
        return "cuda" if inventory.gpus else "cpu"
    if asked == "cuda" and not inventory.gpus:
        message = "cluster.device=cuda needs a GPU, but there is none"
        raise PlanError(message, "cluster.device=cpu, or see `turnaround doctor`")
    return asked


def _layout(asked: Layout, device: str, inventory: Inventory) -> Layout:
    """The layout with its degrees; `ddp` alone takes every device, and at least two."""
    have = inventory.count(device)
    if asked.name == "single" and asked.devices > 1:
        degree = f"layout.replicate={asked.replicate}"
        raise PlanError(
            f"{degree} asks for {asked.devices} devices, but layout=single is one",
            f"layout=ddp {degree}",
        )
    alone = max(2, have) if asked.name == "ddp" else 1
    layout = replace(asked, replicate=asked.replicate or alone)
    if layout.devices > have:
        kind = "GPU" if device == "cuda" else "CPU core"
        found = f"there is 1 ({kind})" if have == 1 else f"there are {have} ({kind}s)"
        raise PlanError(
            f"layout={layout.name} with layout.replicate={layout.replicate} needs "
            f"{layout.devices} devices, but {found}",
            f"layout.replicate={have}" if have > 1 else "layout=single",
        )
    return layout


def _cluster(
    asked: Cluster, device: Literal["cpu", "cuda"], layout: Layout, inventory: Inventory
) -> Cluster:
    return replace(asked, device=device, threads=asked.threads or threads(layout, inventory))


def threads(layout: Layout, inventory: Inventory) -> int:
    """Threads of each worker: its share of half the cores, at most four.

    The other half is for everything else: a small LSTM with two threads on two busy cores was 10 to
    100 times slower than with one.
    """
    return max(1, min(4, inventory.cpus // (2 * layout.devices)))


# ── what else cannot be ──


def _check_budget(config: Config) -> None:
    budget = config.budget
    if not (budget.steps or budget.examples or budget.time):
        raise PlanError("no budget: the run would not end", "budget.steps=1000 or budget.time=20m")


def _check_batch(config: Config, layout: Layout) -> None:
    pieces = layout.devices * config.update.accumulate
    if config.data.batch < pieces:
        raise PlanError(
            f"data.batch={config.data.batch} cannot be cut in {pieces}: {layout.devices} devices, "
            f"update.accumulate={config.update.accumulate}",
            f"data.batch={pieces} or more",
        )


def _tracking(asked: Tracking, project: str) -> Tracking:
    """The store's address, absolute: workers and the recorder run elsewhere."""
    if asked.name == "none":
        return asked
    uri = asked.uri or "sqlite:///mlflow.db"
    if urlsplit(uri).password:
        message = "tracking.uri holds a password, which would be written down with the run"
        raise PlanError(message, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    begin = "sqlite:///" if uri.startswith("sqlite:///") else ""
    if begin or "://" not in uri:  # a file or folder, which starts at the project
        uri = f"{begin}{PurePath(project, uri.removeprefix(begin))}"
    return replace(asked, uri=uri)
