"""The loop: restore; then look, save, stop or learn, until it is over.

    parts = Parts(…)           # one of each; they meet in worker/assembly.py
    now = fit(parts)           # trained: the budget is spent, patience ended or somebody said stop
    finish(parts, now)         # the best parameters, judged on what they have not seen

It knows no layout, update or recipe by name; a feature that wants in finds another room first.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.clock import Clock
from turnaround.engine.data import Feed
from turnaround.engine.layouts.base import Layout
from turnaround.engine.lines import Point
from turnaround.engine.metrics import Mean, Tally, added
from turnaround.engine.pace import Pace, Progress
from turnaround.engine.recipe import Recipe
from turnaround.engine.report import Curve, Report
from turnaround.engine.updates.sync import Update
from turnaround.engine.world import World
from turnaround.errors import ConfigError, Interrupted, near

SAMPLES = 8  # examples of the test split that are shown at the end


@dataclass(frozen=True)
class Parts:
    """What the loop works with: one of each."""

    recipe: Recipe[Any]
    world: World
    layout: Layout
    model: nn.Module  # wrapped by the layout
    update: Update
    feed: Feed
    pace: Pace
    checkpoints: Checkpoints
    report: Report
    clock: Clock
    curve: Curve
    compute: Callable[[], AbstractContextManager[object]]  # the precision of forward passes
    weigh: Callable[[Mean], Mean]  # before backward
    hear: Callable[[Progress, int, Callable[[], Mean]], Mean]  # around a step's gradients
    rate: Callable[[Progress], float]  # of learning, in the next step
    limit: int | None  # examples of the valid split to look at
    stopping: Callable[[], bool]  # somebody asked this process to stop


def fit(parts: Parts) -> Progress:
    """Train from the newest checkpoint, or from the start, until it is over."""
    now = restore(parts)
    learn = learner(parts, now)
    parts.model.train()
    while not (parts.pace.due(now) and attend(parts, now)):
        learn()
    return now


def attend(parts: Parts, now: Progress) -> bool:
    """Do what is due; whether training is over."""
    if parts.pace.rehearses(now):
        rehearse(parts)
    if parts.pace.looks(now):
        look(parts, now)
    if parts.pace.saves(now):
        save(parts, now)
    return parts.pace.over(now) is not None


def restore(parts: Parts) -> Progress:
    """Where the newest checkpoint stood; parameters and optimizer are as they were then.

    Nobody goes on before everyone has it: a group that is ahead would save, and remove it.
    """
    everyone = parts.update.everyone
    name = everyone.share(parts.checkpoints.newest("step"))
    if parts.world.leads:
        parts.checkpoints.sweep(name)
    state = {} if name is None else parts.checkpoints.load(name, parts.world)
    if state:
        parts.update.load_state_dict(state)
    everyone.meet()
    return Progress(**state.get("progress", {}) | {"stopping": False})


def learner(parts: Parts, now: Progress) -> Callable[[], None]:
    """To be called once a step: one more, on the next batch.

    All that is the same in each step is bound here, once: a step may be as short as a millisecond.
    `scripts/bench/step` says what is not computing.
    """
    turn, move, add = parts.clock.turn, parts.clock.move, parts.curve.add
    update, layout, feed, model = parts.update, parts.layout, parts.feed, parts.model
    hear, begin = parts.hear, time.monotonic() - now.seconds
    rate, size = 0.0, feed.size

    def learn() -> None:
        nonlocal rate, size
        turn("optimize")
        place, rate, size = update.place(now), parts.rate(now), feed.size * now.times
        now.step += 1
        now.examples += size
        update.step(lambda: hear(now, size, lambda: gradients(place)), seen, rate)
        if update.exposed:
            move("optimize", "communicate", update.exposed)
        turn("communicate")
        update.agree(now, parts.stopping(), time.monotonic() - begin)
        turn("other")

    def gradients(place: int) -> Mean:
        """Of the batch at that place, into the parameters; its loss, over all ranks."""
        parts.update.scale.forget()
        losses = []
        turn("data")
        for piece in feed.pieces(place, now.times):
            turn("compute")
            losses.append(layout.gradients(model, forward(piece.batch), piece.last))
            if layout.exposed:
                move("compute", "communicate", layout.exposed)
            turn("data")
        turn("communicate")
        loss = layout.sum(added(losses))
        turn("optimize")
        return loss

    def forward(batch: Any) -> Callable[[nn.Module], Mean]:
        """What a layout does with a micro-batch, when it is time."""
        return lambda model: parts.weigh(loss(parts, model, batch))

    def seen(loss: Mean) -> None:
        turn("log")
        add(now.step, now.seconds, loss, norm, where)
        turn("optimize")

    def norm() -> Tensor:
        turn("optimize")  # a pass over all gradients, which clipping needs as well
        found = update.scale.norm()
        turn("log")
        return found

    def where() -> Point:
        return Point(now.step, feed.epoch(now.examples), now.examples, now.seconds, rate, size)

    return learn


class Judge(Protocol):
    """What it takes to judge a model."""

    @property
    def recipe(self) -> Recipe[Any]: ...

    @property
    def compute(self) -> Callable[[], AbstractContextManager[object]]: ...


def loss(parts: Judge, model: nn.Module, batch: Any) -> Mean:
    """The loss of one micro-batch."""
    with parts.compute():
        return parts.recipe.loss(model(*parts.recipe.inputs(batch)), batch)


def scores(parts: Judge, model: nn.Module, batch: Any) -> dict[str, Tally]:
    """The loss and every score of one batch, from one forward pass."""
    with parts.compute():
        output = model(*parts.recipe.inputs(batch))
        loss = parts.recipe.loss(output, batch)
        return {"loss": loss, **parts.recipe.score(model, batch, output)}


def look(parts: Parts, now: Progress) -> None:
    """Judge the parameters on the valid split, and keep them if they are the best so far."""
    settle(parts)
    with parts.clock("evaluate"), parts.update.settled():
        values = evaluate(parts, "valid", parts.limit)
        now.stopping = values is None
        if values is None:
            return
        best = parts.pace.looked(now, values)
        tell(parts, now, "valid", values)
        if best:
            with parts.clock("checkpoint"):
                keep(parts, now, "best", {"model": parts.layout.weights(parts.model)})
    if numbers := parts.update.numbers():
        tell(parts, now, "train", numbers)
    for message in parts.update.news():
        parts.report.warning(message)


def save(parts: Parts, now: Progress) -> None:
    """Everything needed to go on as if nothing had happened."""
    settle(parts)
    parts.pace.saved(now)
    with parts.clock("checkpoint"):
        keep(parts, now, "step", parts.update.state_dict())


def settle(parts: Parts) -> None:
    """Say and check what steps came to so far; the pass over the gradients is not telling."""

    def left() -> Tensor:
        with parts.clock("optimize"):
            return parts.update.scale.left()

    with parts.clock("log"):
        parts.curve.settle(left)


def keep(parts: Parts, now: Progress, kind: str, state: dict[str, Any]) -> None:
    """Put `state` on the disk, by the one rank that writes."""
    if not parts.world.leads:
        return
    step, told = now.step, parts.report.event

    def safe(name: str) -> None:
        told("checkpoint", step=step, folder=name, best=kind == "best")

    parts.checkpoints.save(kind, step, state | {"progress": dataclasses.asdict(now)}, safe)


def evaluate(parts: Parts, split: str, limit: int | None = None) -> dict[str, float] | None:
    """The loss and every score of a split; none when somebody asks to stop before it is done."""
    batches = itertools.takewhile(lambda _: not parts.stopping(), parts.feed.batches(split, limit))
    mine = tally(parts, batches)
    sums = parts.update.total({name: score.values for name, score in mine.items()})
    values = {name: type(score)(sums[name]).compute() for name, score in mine.items()}
    everyone = parts.world.gather((parts.stopping(), values))
    if any(stopping for stopping, _ in everyone):
        return None
    return {name: value for _, values in everyone for name, value in values.items()}


@torch.no_grad()
def tally(parts: Parts, batches: Iterable[Any]) -> dict[str, Tally]:
    """The loss and every score of some batches, on the model as the recipe wrote it."""
    model = parts.layout.whole(parts.model).eval()
    total: dict[str, Tally] = {}
    for batch in batches:
        for name, score in scores(parts, model, batch).items():
            total[name] = total[name] + score.wide() if name in total else score.wide()
    model.train()
    return total


def rehearse(parts: Parts) -> None:
    """What comes later is tried after the first step: a mistake in it shows now, not in an hour."""
    with parts.clock("build"):
        names = tally(parts, parts.feed.batches("valid", limit=2))
        if names:
            known(parts.pace.score, names)
        samples(parts, 1)
        parts.model.train()


def known(score: str, names: Iterable[str]) -> None:
    """Refuse to go by a score that the recipe does not tell."""
    if score not in names:
        raise ConfigError(f"evaluate.score={score} is not among the scores", near(score, names))


def finish(parts: Parts, now: Progress) -> None:
    """Judge the best parameters on the test split, show what they do, sum up."""
    parts.update.close()
    try:
        if parts.pace.judges:
            with parts.update.settled():
                conclude(parts, now)
    finally:
        parts.update.leave()


def conclude(parts: Parts, now: Progress) -> None:
    """The same, once every rank that takes part has the same parameters."""
    test = None
    if not (now.stopping or parts.pace.pauses(now)):
        recall(parts)
        test = evaluate(parts, "test")
    if test is None:
        raise Interrupted(f"stopped after step {now.step}", "turnaround resume goes on from there")
    tell(parts, now, "test", test)
    show(parts, now)
    splits = {"valid": now.valid, "test": test}
    values = {f"{split}/{name}": of[name] for split, of in splits.items() for name in of}
    totals = {"steps": now.step, "examples": now.examples, "seconds": now.seconds}
    parts.report.event("summary", **totals, values=values, stopped=parts.pace.over(now))


def recall(parts: Parts) -> None:
    """Back to the best parameters, if any evaluation found some."""
    name = parts.world.share(parts.checkpoints.newest("best"))
    if name is not None:
        parts.layout.load_weights(parts.model, parts.checkpoints.load(name, parts.world)["model"])


def tell(parts: Parts, now: Progress, split: str, values: dict[str, float]) -> None:
    """One point of the curve of each score."""
    where = {"step": now.step, "epoch": parts.feed.epoch(now.examples), "examples": now.examples}
    with parts.clock("log"):
        parts.report.event("metrics", **where, split=split, values=values, seconds=now.seconds)


def show(parts: Parts, now: Progress) -> None:
    """A table of what the model makes of some of the test split."""
    columns, rows = samples(parts, SAMPLES)
    if rows:
        parts.report.event("samples", step=now.step, columns=columns, rows=rows)


@torch.no_grad()
def samples(parts: Parts, count: int) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for that many examples; the other ranks leave it to the first."""
    examples = parts.feed.some("test", count)
    model = parts.layout.whole(parts.model).eval()  # every rank helps to bring it together
    if not examples or not parts.world.leads:
        return [], []
    return parts.recipe.samples(model, examples)
