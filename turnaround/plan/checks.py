"""What cannot be, whoever asks: no end, an uncuttable batch, an optimizer that cannot hear."""

from __future__ import annotations

from turnaround.config import Config
from turnaround.errors import PlanError
from turnaround.spec import Layout, Optim, Update


def check(config: Config, layout: Layout, update: Update, device: str) -> None:
    """PlanError for the first thing that this layout and update cannot do."""
    _budget(config)
    _batch(config, layout, update)
    _whole(config, layout, update)
    _optim(config.optim, layout, update)
    _growth(config, layout, update, device)
    _share(config, layout, update)


def _budget(config: Config) -> None:
    budget = config.budget
    if not (budget.steps or budget.examples or budget.time):
        raise PlanError("no budget: the run would not end", "budget.steps=1000 or budget.time=20m")


def _batch(config: Config, layout: Layout, update: Update) -> None:
    batch, accumulate = config.data.batch, config.update.accumulate
    readers = layout.readers * (1 if update.apart else update.groups or 1)
    pieces = readers * accumulate
    cut = f"{pieces}: {readers} devices, update.accumulate={accumulate}"
    if batch < pieces:
        message = f"data.batch={batch} cannot be cut in {cut}"
        raise PlanError(message, f"data.batch={pieces} or more")
    if layout.name == "pipeline":
        _pipeline(batch, pieces, accumulate, layout.pipeline or 1)


def _whole(config: Config, layout: Layout, update: Update) -> None:
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


def _optim(optim: Optim, layout: Layout, update: Update) -> None:
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


def _growth(config: Config, layout: Layout, update: Update, device: str) -> None:
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


def _share(config: Config, layout: Layout, update: Update) -> None:
    """A run beside others is one process, and may take as long as it takes."""
    share, count = config.cluster.share, layout.devices * (update.groups or 1)
    asked = f"cluster.share={share:g}" if share else ""
    if share in (None, 1.0):
        return
    if count > 1:
        message = f"{asked} is for a run on one device, and this one has {count}"
        raise PlanError(message, "layout=single update=sync, or leave it out")
    if config.budget.time is not None:
        message = (
            f"{asked} lets other runs slow this one down, and budget.time ends it all the same"
        )
        raise PlanError(message, "budget.steps, or leave it out")


def _pipeline(batch: int, pieces: int, accumulate: int, stages: int) -> None:
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


def _deaf(layout: Layout, device: str) -> str:
    """The words of a layout in which no part of a batch is heard by itself; "" for others."""
    if layout.name == "tensor" and layout.readers > 1:
        return "layout=tensor with layout.shard or layout.replicate"
    if layout.name in ("fsdp", "hsdp") and layout.readers > 1 and device == "cuda":
        return f"layout={layout.name} on a GPU"
    return ""
