"""The one place where concrete classes meet: a recipe, a layout, an update, as the plan says."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from turnaround.engine import loop, noise, optim, precision, utilisation
from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.data import Feed
from turnaround.engine.failure import unsound
from turnaround.engine.growth import Growth
from turnaround.engine.inherit import inherit
from turnaround.engine.layouts.base import Layout
from turnaround.engine.lines import Point
from turnaround.engine.metrics import Mean
from turnaround.engine.pace import Pace, Progress
from turnaround.engine.recipe import Recipe, load
from turnaround.engine.report import Budget, Curve, Report
from turnaround.engine.updates.search import Search
from turnaround.engine.world import World
from turnaround.spec import Assignment, Plan


def assemble(
    plan: Plan,
    assignment: Assignment,
    world: World,
    report: Report,
    stopping: Callable[[], bool],
    given: tuple[Recipe[Any], Feed] | None = None,
) -> loop.Parts:
    """One of each, as the plan says; `given` is what several runs of this process share."""
    folder = Path(assignment.folder)
    group = world.split(plan.layout.devices)
    layout = layout_of(plan, alone=group.size == 1)(group, plan.layout)
    kind = _update_of(plan)
    with report.clock("import"):
        recipe = given[0] if given else recipe_of(plan, folder, Path(assignment.code))
    world.seed(plan.seed)
    checkpoints = Checkpoints(folder / "checkpoints", plan.checkpoint.keep, report.warning)
    model = layout.wrap(_model(plan, recipe, world, checkpoints, report), recipe)
    optimizer = optim.make(plan.optim, layout.parameters(model).values())
    feed = given[1] if given else Feed(recipe, plan, world, kind.reader(world, layout))
    scale = optim.Scale(optimizer, plan.optim.clip, layout.norm, divided=feed.whole)
    update = kind(plan, world, layout, model, optimizer, scale)
    pace, used = Pace(plan, update.judges), _meter(plan, recipe, feed, world)
    budget, blame = _budget(plan, pace, feed.size), _blame(layout, model, feed)
    compute = precision.named(plan.precision).compute
    return loop.Parts(
        recipe=recipe,
        world=update.world,
        layout=layout,
        model=model,
        update=update,
        feed=feed,
        pace=pace,
        checkpoints=checkpoints,
        report=report,
        clock=report.clock,
        curve=Curve(report, world.device, budget, blame, used=used),
        compute=functools.partial(compute, world.device.type),
        weigh=Mean.divided if feed.whole else Mean.summed,
        hear=_ear(plan, layout, model, scale, feed, report),
        rate=_rate(plan, pace),
        limit=plan.evaluate.limit,
        stopping=stopping,
    )


def recipe_of(plan: Plan, folder: Path, code: Path) -> Recipe[Any]:
    """The plan's recipe; its cache is shared by all runs of one home."""
    cache = folder.parents[1] / "cache" / plan.recipe.name
    cache.mkdir(parents=True, exist_ok=True)
    return load(code / plan.place.recipe_file, plan, cache)


def layout_of(plan: Plan, alone: bool = False) -> Any:
    """The class of the plan's layout; of one device that is alone, the simple one."""
    return _room("layouts", "single" if alone else plan.layout.name).Layout


def _update_of(plan: Plan) -> Any:
    return Search if plan.optim.name == "lbfgs" else _room("updates", plan.update.name).Update


def _room(shelf: str, name: str) -> Any:
    """The module of a layout or an update."""
    module = {"single": "base", "async": "hybrid"}.get(name, name)
    return importlib.import_module(f"turnaround.engine.{shelf}.{module}")


def _model(
    plan: Plan, recipe: Recipe[Any], world: World, checkpoints: Checkpoints, report: Report
) -> nn.Module:
    """The recipe's model, with what another run has learnt where the plan says so."""
    model = recipe.model()
    if plan.init_from is not None and world.share(checkpoints.newest("step")) is None:
        source = checkpoints.folder.parent.with_name(plan.init_from)
        report.event("notice", message=inherit(model, source, world))
    optim.fits(plan.optim, model)
    return model


def _blame(layout: Layout, model: nn.Module, feed: Feed) -> Callable[[Point], str]:
    """What tells which parameters and examples a loss that is not finite came from."""

    def blame(point: Point) -> str:
        place, times = point.examples - point.size, point.size // feed.size
        return unsound(layout.parameters(model), feed.numbers(place, times))

    return blame


def _meter(plan: Plan, recipe: Recipe[Any], feed: Feed, world: World) -> Callable[[float], float]:
    """What tells the share of the devices' peak that is used, where it is known."""
    if world.device.type == "cpu":
        return utilisation.unknown

    def count() -> float:
        train = feed.split("train")
        return utilisation.flops(recipe, [train[i] for i in feed.numbers(0)])

    name = torch.cuda.get_device_name(world.device)
    return utilisation.meter(name, plan.precision, plan.devices, count)


def _rate(plan: Plan, pace: Pace) -> Callable[[Progress], float]:
    """The learning rate of the next step; one that never changes costs nothing."""
    spec = plan.optim
    if spec.schedule == "constant" and not spec.warmup and plan.data.grow == 1:
        return lambda now: spec.lr
    return lambda now: now.gain * optim.rate(spec, now.step, pace.share(now))


def _ear(
    plan: Plan, layout: Layout, model: nn.Module, scale: optim.Scale, feed: Feed, report: Report
) -> Callable[[Progress, int, Callable[[], Mean]], Mean]:
    """What measures the gradient noise scale, where a part of a batch is heard by itself."""
    heard = layout.hears(plan.update.accumulate, feed.size)
    plain = plan.update.name == "sync" and plan.optim.name != "lbfgs" and not plan.data.whole
    if plan.tracking.noise is None or heard is None or not plain:
        return noise.deaf

    def tell(now: Progress, values: dict[str, float]) -> None:
        where = {"step": now.step, "epoch": feed.epoch(now.examples), "examples": now.examples}
        report.event("metrics", **where, split="train", values=values, seconds=now.seconds)

    for message in noise.doubts(model):
        report.event("notice", message=message, about="noise")
    pieces, every = plan.update.accumulate, plan.tracking.noise
    listener = noise.Listener(layout, model, pieces, every, scale.left, tell)
    if plan.data.grow > 1:
        listener.then = Growth(plan, tell).take
    return listener


def _budget(plan: Plan, pace: Pace, size: int) -> Budget:
    """What tells how many steps are planned, as far as that is known, and how much is spent.

    Steps are of so many examples; where they grow, nobody knows how many they will be.
    """
    budget = plan.budget
    examples = budget.examples if plan.data.grow == 1 else None
    limits = (budget.steps, math.ceil((examples or 0) / size))
    steps = min((limit for limit in limits if limit), default=None)
    return lambda at: (steps, pace.share(Progress(at.step, at.examples, at.seconds)))
