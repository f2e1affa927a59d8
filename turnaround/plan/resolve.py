"""What was asked, and the facts, become a Plan; or PlanError says why they cannot."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import PurePath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from turnaround.config import Config
from turnaround.errors import PlanError
from turnaround.plan import checks, devices, groups
from turnaround.signature import signature
from turnaround.spec import Data, Inventory, Place, Plan, Tracking


@dataclass(frozen=True)
class Facts:
    """What a Config cannot know: gathered at the door (`launch/facts.py`)."""

    place: Place
    data: Data  # with absolute paths
    inventory: Inventory
    version: str  # of turnaround
    init_from: str | None = None  # id of the run that was meant
    start: str | None = None  # the name of its checkpoint


def make(config: Config, facts: Facts) -> Plan:
    """The Plan; PlanError when the words are right, but what they ask for cannot be."""
    device = devices.kind(config.cluster.device, facts.inventory)
    layout = devices.layout(config.layout, device, facts.inventory)
    update = groups.update(config.update, layout, facts.inventory.count(device))
    checks.check(config, layout, update, device)
    plan = Plan(
        recipe=config.recipe,
        data=facts.data,
        optim=config.optim,
        layout=layout,
        update=update,
        budget=config.budget,
        evaluate=config.evaluate,
        checkpoint=config.checkpoint,
        cluster=devices.cluster(config.cluster, device, layout, update, facts.inventory),
        tracking=_tracking(config.tracking, facts.place.project),
        place=facts.place,
        signature="",
        seed=config.seed,
        precision=config.precision,
        init_from=facts.init_from,
        start=facts.start,
        name=config.name,
        tags=config.tags,
        version=facts.version,
    )
    return replace(plan, signature=signature(science(plan)))


def science(plan: Plan) -> dict[str, Any]:
    """What makes a run that run and no other; the signature is the hash of this.

    An exact layout and update, name, tags, cluster, tracking and checkpoints do not count; an
    inexact update does, and the layout where each rank rounds its own gradients. Under a budget of
    time whatever decides how far it gets does.
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
    if plan.data.sortagrad:
        counts["sortagrad"] = True
    if plan.data.whole:
        counts["whole"] = True
    if plan.data.grow > 1:  # when it grows follows from what is measured, and so from the layout
        counts["grow"] = [plan.data.grow, plan.tracking.noise, plan.update.accumulate]
        counts["layout"] = asdict(plan.layout)
    begins = {"init_from": plan.init_from, "start": plan.init_from and plan.start}
    some = {**begins, "until": plan.until, "fork": plan.fork}
    counts |= {name: value for name, value in some.items() if value is not None}
    if not plan.update.exact:
        counts["update"] = asdict(plan.update)
    if plan.update.compress != "none":
        counts["layout"] = asdict(plan.layout)
    if plan.budget.time is not None:
        counts |= {"layout": asdict(plan.layout), "device": plan.cluster.device, **_pace(plan)}
    return counts


def _pace(plan: Plan) -> dict[str, Any]:
    """What else makes steps slower or faster, where it differs from the least there is."""
    threads, update = plan.cluster.threads, plan.update
    pace = {"threads": threads, "accumulate": update.accumulate, "straggle": update.straggle}
    least = {"threads": 1, "accumulate": 1, "straggle": 0.0}
    return {name: value for name, value in pace.items() if value != least[name]}


def _tracking(asked: Tracking, project: str) -> Tracking:
    """The store's address, absolute: workers and the recorder run elsewhere."""
    if asked.name == "none":
        return asked
    uri = asked.uri or "sqlite:///mlflow.db"
    if _split(uri).password:
        message = "tracking.uri holds a password, which would be written down with the run"
        raise PlanError(message, "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    begin = "sqlite:///" if uri.startswith("sqlite:///") else ""
    if begin or "://" not in uri:  # a file or folder, which starts at the project
        uri = f"{begin}{PurePath(project, uri.removeprefix(begin))}"
    return replace(asked, uri=uri)


def _split(uri: str) -> SplitResult:
    """The parts of an address."""
    try:
        return urlsplit(uri)
    except ValueError as error:
        hint = "as in http://localhost:5000 or sqlite:///mlflow.db"
        raise PlanError(f"tracking.uri is not an address: {error}", hint) from None
