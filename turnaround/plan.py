"""Config and facts → Plan: what will be done, or PlanError saying why it cannot be.

plan = make(config, facts)      # pure: no file is read, no clock, no environment
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import urlsplit

from turnaround.config import Config
from turnaround.errors import PlanError
from turnaround.signature import signature
from turnaround.spec import (
    DEGREES,
    Cluster,
    Data,
    Inventory,
    Layout,
    Optim,
    Place,
    Plan,
    Tracking,
    Update,
    from_dict,
)


@dataclass(frozen=True)
class Facts:
    """What a Config cannot know: gathered at the door (`launch/facts.py`)."""

    place: Place
    data: Data  # with absolute paths
    inventory: Inventory
    version: str  # of turnaround
    init_from: str | None = None  # id of the run that was meant


def make(config: Config, facts: Facts) -> Plan:
    """The Plan; PlanError when the words are right, but what they ask for cannot be."""
    device = _device(config.cluster.device, facts.inventory)
    layout = _layout(config.layout, device, facts.inventory)
    update = _update(config.update, layout, facts.inventory.count(device))
    _check_budget(config)
    _check_batch(config, layout, update)
    _check_whole(config, layout, update)
    _check_optim(config.optim, layout, update)
    _check_growth(config, layout, update, device)
    plan = Plan(
        recipe=config.recipe,
        data=facts.data,
        optim=config.optim,
        layout=layout,
        update=update,
        budget=config.budget,
        evaluate=config.evaluate,
        checkpoint=config.checkpoint,
        cluster=_cluster(config.cluster, device, layout, update, facts.inventory),
        tracking=_tracking(config.tracking, facts.place.project),
        place=facts.place,
        signature="",
        seed=config.seed,
        precision=config.precision,
        init_from=facts.init_from,
        name=config.name,
        tags=config.tags,
        version=facts.version,
    )
    return replace(plan, signature=signature(science(plan)))


def science(plan: Plan) -> dict[str, Any]:
    """What makes a run that run and no other; the signature is the hash of this.

    An exact layout and update, name, tags, cluster, tracking and checkpoints do not count; an
    inexact update does. Under a budget of time the devices decide how far it gets, so they do.
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
    if plan.init_from is not None:
        counts["init_from"] = plan.init_from
    if plan.until is not None:
        counts["until"] = plan.until
    if plan.fork is not None:
        counts["fork"] = plan.fork
    if not plan.update.exact:
        counts["update"] = asdict(plan.update)
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
    """The layout with all its degrees; `ddp` and `fsdp` alone take every device, at least two."""
    have, takes = inventory.count(device), DEGREES[asked.name]
    _check_degrees(asked)
    alone = {takes[0]: max(2, have)} if asked.name in ("ddp", "fsdp") else {}
    degrees = {name: getattr(asked, name) or alone.get(name, 1) for name in takes}
    layout = from_dict(Layout, asdict(asked) | degrees)
    if layout.devices > have:
        kind = "GPU" if device == "cuda" else "CPU core"
        found = f"there is 1 ({kind})" if have == 1 else f"there are {have} ({kind}s)"
        fits = have * degrees[takes[0]] // layout.devices
        raise PlanError(
            f"layout={layout.name} with {_words(degrees)} needs {layout.devices} devices, "
            f"but {found}",
            f"layout.{takes[0]}={fits}" if fits > 1 else "layout=single",
        )
    return layout


def _check_degrees(asked: Layout) -> None:
    """Nothing is asked of a layout that it would ignore, and all that it cannot guess."""
    takes = DEGREES[asked.name]
    names = [field.name for field in fields(asked) if field.name in _AXES]
    given = {name: degree for name in names if (degree := getattr(asked, name)) is not None}
    if asked.name == "single" and asked.devices > 1:
        message = f"{_words(given)} asks for {asked.devices} devices, but layout=single is one"
        raise PlanError(message, _taking(given))
    if ignored := {name: n for name, n in given.items() if n > 1 and name not in takes}:
        message = f"layout={asked.name} has no {_words(ignored)}, only {' and '.join(takes)}"
        raise PlanError(message, _taking(given))
    if asked.sequence and asked.name != "tensor":
        message = f"layout.sequence=true is for layout=tensor, and this is layout={asked.name}"
        raise PlanError(message, "layout=tensor layout.tensor=2 layout.sequence=true")
    needs = {"hsdp": takes, "tensor": takes[:1], "pipeline": takes[:1]}.get(asked.name, ())
    if missing := [name for name in needs if name not in given]:
        wants = " and ".join(f"layout.{name}" for name in missing)
        raise PlanError(f"layout={asked.name} needs {wants}", _words(dict.fromkeys(missing, 2)))


_AXES = {axis for degrees in DEGREES.values() for axis in degrees}


def _taking(degrees: dict[str, int]) -> str:
    """The words for the first layout that takes most of these degrees."""
    wanted = {name for name, degree in degrees.items() if degree > 1}
    shelf = [name for name in DEGREES if name != "single"]
    best = max(shelf, key=lambda name: len(wanted & {*DEGREES[name]}))
    taken = {name: degree for name, degree in degrees.items() if name in DEGREES[best]}
    return f"layout={best} {_words(taken)}"


def _words(degrees: dict[str, int]) -> str:
    return " ".join(f"layout.{name}={degree}" for name, degree in degrees.items())


def _cluster(
    asked: Cluster,
    device: Literal["cpu", "cuda"],
    layout: Layout,
    update: Update,
    inventory: Inventory,
) -> Cluster:
    workers = layout.devices * (update.groups or 1)
    return replace(asked, device=device, threads=asked.threads or threads(workers, inventory))


def threads(workers: int, inventory: Inventory) -> int:
    """Threads of each worker: its share of half the cores, at most four.

    The other half is for everything else: a small LSTM with two threads on two busy cores was 10 to
    100 times slower than with one.
    """
    return max(1, min(4, inventory.cpus // (2 * workers)))


# ── groups ──


def units(config: Config, facts: Facts) -> tuple[Layout, int]:
    """For `update=auto`: what is copied, and how many there are to be grouped in any way.

    As many as were asked for, in one group or several; where nobody says, all that fit.
    """
    have = facts.inventory.count(_device(config.cluster.device, facts.inventory))
    asked = replace(config.update, name="sync", groups=None)
    layout = make(replace(config, update=asked), facts).layout
    copies = layout.replicate or 1
    groups = config.update.groups or (have // layout.devices if copies == 1 else 1)
    kind = {"ddp": "single", "hsdp": "fsdp"}.get(layout.name, layout.name)
    return from_dict(Layout, asdict(layout) | {"name": kind, "replicate": None}), groups * copies


def together(unit: Layout, count: int) -> Layout:
    """So many of them in step."""
    if count == 1:
        return unit
    kind = {"single": "ddp", "fsdp": "hsdp"}.get(unit.name, unit.name)
    return from_dict(Layout, asdict(unit) | {"name": kind, "replicate": count})


_GROUPS = ("backup", "async", "hybrid", "local", "auto")
_OF = {  # which updates have a use for a knob; those not listed are everybody's
    "groups": _GROUPS,
    "compress": ("sync", "async", "hybrid"),
    "every": ("local", "async", "hybrid"),
    "outer_lr": ("local",),
    "outer_momentum": ("local",),
    "spares": ("backup",),
    **dict.fromkeys(("pull", "warm", "bound", "stale_lr", "shards"), ("async", "hybrid")),
}


def _update(asked: Update, layout: Layout, have: int) -> Update:
    """The update with its number of groups; where nobody says, as many as fit, at least two."""
    _check_knobs(asked)
    if asked.name == "auto":
        message = "update=auto is chosen by a probe, when a run is planned by itself"
        raise PlanError(message, "`turnaround plan … update=auto` says which")
    _check_fit(asked, layout)
    if asked.name == "sync":
        return replace(asked, groups=1)
    fits = have // layout.devices
    update = replace(asked, groups=asked.groups or max(2, fits))
    groups, devices = update.groups or 1, layout.devices
    if groups == 1 and (devices == 1 or update.name != "hybrid"):
        raise PlanError(
            f"update={asked.name} with update.groups=1 has nobody to agree with",
            "update.groups=2 or more, or update=sync",
        )
    if groups * devices > have:
        least = "update=sync" if layout.name != "ddp" or have < 2 * groups else ""
        raise PlanError(
            f"update={asked.name} with update.groups={groups}, each layout={layout.name} on "
            f"{devices}, needs {groups * devices} devices, but there are {have}",
            f"update.groups={fits}" if fits > 1 else least or f"layout.replicate={have // groups}",
        )
    _check_groups(update)
    return update


def _check_knobs(asked: Update) -> None:
    """Nothing is asked of an update that it would ignore."""
    for knob in fields(asked):
        value, users = getattr(asked, knob.name), _OF.get(knob.name, (asked.name,))
        plain = value == knob.default or (knob.name == "groups" and value == 1)
        if not plain and asked.name not in users:
            message = f"update.{knob.name}={value} means nothing to update={asked.name}"
            raise PlanError(message, f"update={users[0]}, or leave it out")


def _check_fit(asked: Update, layout: Layout) -> None:
    """The update can work with groups that lie like this."""
    if asked.name == "async" and layout.devices > 1:
        message = f"update=async has groups of one device, but layout={layout.name} has more"
        raise PlanError(message, "update=hybrid")
    if asked.name == "backup" and layout.name not in ("single", "ddp"):
        message = f"update=backup drops whole gradients, but layout={layout.name} cuts them up"
        raise PlanError(message, "layout=ddp, or update=hybrid")
    if asked.name == "sync" and asked.compress != "none" and layout.name not in ("single", "ddp"):
        message = f"update.compress={asked.compress} is not made for layout={layout.name}"
        raise PlanError(message, "layout=ddp, or update.compress=none")


def _check_groups(update: Update) -> None:
    groups, every = update.groups or 1, update.every or 1
    if update.name == "backup" and update.spares >= groups:
        message = f"update.spares={update.spares} leaves none of {groups} groups to wait for"
        raise PlanError(message, f"update.spares={groups - 1} or fewer")
    if update.pull and update.pull % every:
        message = f"update.pull={update.pull} is no multiple of update.every={every}"
        raise PlanError(message, f"update.pull={math.ceil(update.pull / every) * every}")


# ── what else cannot be ──


def _check_budget(config: Config) -> None:
    budget = config.budget
    if not (budget.steps or budget.examples or budget.time):
        raise PlanError("no budget: the run would not end", "budget.steps=1000 or budget.time=20m")


def _check_batch(config: Config, layout: Layout, update: Update) -> None:
    batch, accumulate = config.data.batch, config.update.accumulate
    readers = layout.readers * (1 if update.apart else update.groups or 1)
    pieces = readers * accumulate
    cut = f"{pieces}: {readers} devices, update.accumulate={accumulate}"
    if batch < pieces:
        message = f"data.batch={batch} cannot be cut in {cut}"
        raise PlanError(message, f"data.batch={pieces} or more")
    if layout.name == "pipeline":
        _check_pipeline(batch, pieces, accumulate, layout.pipeline or 1)


def _check_whole(config: Config, layout: Layout, update: Update) -> None:
    """Steps on all training examples are alike, and there is one group that makes them."""
    if not config.data.whole:
        return
    asked = "data.batch=all (data.whole=true)"
    if update.name != "sync":
        message = f"{asked} is for groups in step, but update={update.name}"
        raise PlanError(message, "update=sync, or a data.batch of some size")
    if layout.name == "pipeline":
        message = f"{asked} has micro-batches of any size, and layout=pipeline needs equal ones"
        raise PlanError(message, "layout=fsdp, or a data.batch of some size")
    if config.data.grow > 1:
        raise PlanError(f"{asked} cannot grow: data.grow={config.data.grow}", "data.grow=1")


def _check_optim(optim: Optim, layout: Layout, update: Update) -> None:
    """L-BFGS looks at whole gradients, of the same batch again and again, just as they are."""
    if optim.name != "lbfgs":
        return
    if update.name != "sync":
        message = f"optim=lbfgs computes a step's gradients many times, update={update.name} once"
        raise PlanError(message, "update=sync, or optim=adam")
    if layout.name not in ("single", "ddp"):
        message = f"optim=lbfgs needs whole gradients, but layout={layout.name} cuts them up"
        raise PlanError(message, "layout=ddp, or optim=adam")
    if knob := next((k for k in ("clip", "weight_decay") if getattr(optim, k)), None):
        message = f"optim.{knob}={getattr(optim, knob)} means nothing to optim=lbfgs"
        raise PlanError(message, "leave it out, or optim=adam")


def _check_growth(config: Config, layout: Layout, update: Update, device: str) -> None:
    """The noise scale can be heard, and a step can have more micro-batches than the one before."""
    grow, accumulate = config.data.grow, update.accumulate
    if grow == 1:
        return
    asked = f"data.grow={grow}"
    if update.name != "sync":
        message = f"{asked} is for groups in step, but update={update.name}"
        raise PlanError(message, "update=sync, or data.grow=1")
    if config.optim.name == "lbfgs":
        message = f"{asked} follows the gradient noise scale, which optim=lbfgs does not tell"
        raise PlanError(message, "optim=adam, or data.grow=1")
    if layout.name == "pipeline":
        message = f"{asked} needs steps of more and more micro-batches, layout=pipeline equal ones"
        raise PlanError(message, "layout=fsdp, or data.grow=1")
    if _deaf(layout, device):
        message = f"{asked} follows the gradient noise scale, which {_deaf(layout, device)} hides"
        raise PlanError(message, "layout=ddp, or data.grow=1")
    if config.tracking.noise is None:
        message = f"{asked} follows the gradient noise scale, but tracking.noise=null"
        raise PlanError(message, "tracking.noise=20")
    if layout.readers * accumulate < 2:
        message = f"{asked} follows the gradient noise scale, which one micro-batch cannot tell"
        raise PlanError(message, "update.accumulate=2, or layout=ddp")


def _deaf(layout: Layout, device: str) -> str:
    """The words of a layout in which no part of a batch is heard by itself; "" for others."""
    if layout.name == "tensor" and layout.readers > 1:
        return "layout=tensor with layout.shard or layout.replicate"
    if layout.name in ("fsdp", "hsdp") and layout.readers > 1 and device == "cuda":
        return f"layout={layout.name} on a GPU"
    return ""


def _check_pipeline(batch: int, pieces: int, accumulate: int, stages: int) -> None:
    """Micro-batches fill the stages, and are all of one size."""
    if accumulate < stages:
        raise PlanError(
            f"layout.pipeline={stages} needs {stages} micro-batches or more to fill its stages, "
            f"but update.accumulate={accumulate}",
            f"update.accumulate={4 * stages}",
        )
    if batch % pieces:
        message = f"data.batch={batch} cannot be cut in {pieces} of one size"
        near = round(batch / pieces) * pieces
        raise PlanError(f"{message}, as layout=pipeline needs them", f"data.batch={near}")


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
