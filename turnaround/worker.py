"""The engine's door: a Plan and an Assignment in, events and an exit code out.

    work(plan, assignment, send=print)           # carry the plan out as one rank; 0 when it is done
    answer(plan, folder, code)("1 2 3")          # what the trained model makes of a line
    python -m turnaround.worker JOB.json FD      # a rank that is a process; events go to FD

Concrete classes meet here and nowhere else. Exit codes: 0 done, 1 the recipe failed, 2 asked
wrongly, 3 another rank or every checkpoint was lost, 4 numbers that are not finite, 75 stopped and
resumable, 130 and 143 interrupted before there was anything to save.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import json
import math
import os
import pkgutil
import platform
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from turnaround.engine import loop, noise, optim, precision, probe, sizes, utilisation
from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.clock import Clock
from turnaround.engine.data import Feed
from turnaround.engine.failure import Signalled, explain, unsound
from turnaround.engine.growth import Growth, saved
from turnaround.engine.inherit import inherit
from turnaround.engine.layouts.base import Layout
from turnaround.engine.metrics import Mean
from turnaround.engine.pace import Pace, Progress
from turnaround.engine.preflight import look
from turnaround.engine.recipe import Recipe, load
from turnaround.engine.report import Curve, Point, Report
from turnaround.engine.updates.search import Search
from turnaround.engine.world import World, join
from turnaround.errors import CheckpointError
from turnaround.spec import Assignment, Plan, from_dict

STOPPED = (75, 130, 143)  # exit codes of what somebody asked for: nothing failed


def work(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """Carry the plan out as one rank; the exit code.

    `send` gets events, one or several, a line each; `listener` is rank 0's socket, which listens.
    """
    return door(_train, plan, assignment, send, listener)


def measure(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """Find out what a step costs, for `update=auto`: the same door, and a `probe` event."""
    return door(_measure, plan, assignment, send, listener)


def gauge(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """Find out what batches of each size cost in seconds and memory, in `budget.time` at most."""
    return door(_gauge, plan, assignment, send, listener)


def preflight(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """Whether the plan suits its recipe's model: the same door, and a `fit` event."""
    return door(_look, plan, assignment, send, listener)


def door(
    what: Callable[..., None],
    plan: Plan,
    assignment: Assignment,
    send: Callable[[str], None],
    listener: int | None,
) -> int:
    """The exit code of doing `what`; whatever goes wrong is said."""
    report = Report(send, assignment.attempt, assignment.rank, Clock(assignment.forked))
    with _restored(), Wish() as wish:
        try:
            _settle(plan, Path(assignment.code), assignment.threads)
            what(plan, assignment, report, wish, listener)
            return 0
        except BaseException as error:  # the door: all that fails is said and becomes an exit code
            return told(error, report, assignment)
        finally:
            report.hurried = True
            report.account()


def told(error: BaseException, report: Report, assignment: Assignment) -> int:
    """The exit code of what went wrong, once it is said."""
    said = explain(error, Path(assignment.code))
    report.event("notice" if said["exit_code"] in STOPPED else "error", **said)
    return int(said["exit_code"])


def answer(plan: Plan, folder: Path, code: Path) -> Callable[[str], str]:
    """What the best parameters of the run in `folder` make of a line of text."""
    _settle(plan, code, threads=1)
    checkpoints = Checkpoints(folder / "checkpoints", keep=1, warn=lambda message: None)
    name = checkpoints.best()
    if name is None:
        hint = "wait for its first evaluation"
        raise CheckpointError(f"run {folder.name} has no checkpoint yet", hint)
    kept = precision.named(plan.precision).parameters
    recipe = recipe_of(plan, folder, code)
    with kept():
        model = recipe.model().eval()
    model.load_state_dict(checkpoints.load(name)["model"])

    def reply(line: str) -> str:
        with kept(), torch.no_grad():
            return recipe.answer(model, line)

    return reply


def _train(
    plan: Plan, assignment: Assignment, report: Report, wish: Wish, listener: int | None
) -> None:
    clock = report.clock
    with contextlib.ExitStack() as stack:
        with clock("rendezvous"):
            world = stack.enter_context(join(assignment, listener))
        stack.enter_context(precision.named(plan.precision).parameters())
        here = {"pid": os.getpid(), "host": platform.node(), "device": str(world.device)}
        report.event("worker", **here, threads=torch.get_num_threads())
        with clock("build"):
            parts = assemble(plan, assignment, world, report, wish)
            parts.feed.numbers(0)  # reads the train split: no step should wait for it
        wish.defer()
        now = loop.fit(parts)
        for message in saved(plan.data, now):
            report.event("notice", message=message)
        with clock("finish"):
            loop.finish(parts, now)
            parts.world.meet()


def _measure(
    plan: Plan, assignment: Assignment, report: Report, wish: Wish, listener: int | None
) -> None:
    with join(assignment, listener) as world, precision.named(plan.precision).parameters():
        parts = assemble(plan, assignment, world, report, wish)
        report.event("probe", **probe.probe(plan, world, parts))
        world.meet()


def _gauge(
    plan: Plan, assignment: Assignment, report: Report, wish: Wish, listener: int | None
) -> None:
    until = report.clock.began + (plan.budget.time or 0.0)
    with join(assignment, listener) as world, precision.named(plan.precision).parameters():
        parts = assemble(plan, assignment, world, report, wish)
        for found in sizes.gauge(world, parts, plan.data.batch, plan.optim.lr, until):
            report.event("gauge", **found)
        world.meet()


def _look(
    plan: Plan, assignment: Assignment, report: Report, wish: Wish, listener: int | None
) -> None:
    make = functools.partial(recipe_of, plan, Path(assignment.folder), Path(assignment.code))
    layout = _room("layouts", plan.layout.name).Layout
    with precision.named(plan.precision).parameters():
        report.event("fit", **asdict(look(plan, make, layout)))


def assemble(
    plan: Plan,
    assignment: Assignment,
    world: World,
    report: Report,
    stopping: Callable[[], bool],
    given: tuple[Recipe[Any], Feed] | None = None,
) -> loop.Parts:
    """One of each, as the plan says; `given` is what several runs of this process share."""
    folder, warn = Path(assignment.folder), report.warning
    group = world.split(plan.layout.devices)
    layout = _room("layouts", plan.layout.name if group.size > 1 else "single").Layout(
        group, plan.layout
    )
    searches = plan.optim.name == "lbfgs"
    kind = Search if searches else _room("updates", plan.update.name).Update
    with report.clock("import"):
        recipe = given[0] if given else recipe_of(plan, folder, Path(assignment.code))
    world.seed(plan.seed)
    checkpoints = Checkpoints(folder / "checkpoints", plan.checkpoint.keep, warn)
    model = recipe.model()
    if plan.init_from is not None and world.share(checkpoints.newest("step")) is None:
        report.event("notice", message=inherit(model, folder.with_name(plan.init_from), world))
    optim.fits(plan.optim, model)
    model = layout.wrap(model, recipe)
    optimizer = optim.make(plan.optim, layout.parameters(model).values())
    compute = precision.named(plan.precision).compute
    feed = given[1] if given else Feed(recipe, plan, world, kind.reader(world, layout))
    scale = optim.Scale(optimizer, plan.optim.clip, layout.norm, divided=feed.whole)
    update = kind(plan, world, layout, model, optimizer, scale)

    pace = Pace(plan, update.judges)

    def blame(point: Point) -> str:
        place, times = point.examples - point.size, point.size // feed.size
        return unsound(layout.parameters(model), feed.numbers(place, times))

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
        curve=Curve(
            report, world.device, _steps(plan), blame, used=_meter(plan, recipe, feed, world)
        ),
        compute=functools.partial(compute, world.device.type),
        weigh=Mean.divided if feed.whole else Mean.summed,
        hear=_ear(plan, layout, model, scale, feed, report),
        rate=_rate(plan, pace),
        limit=plan.evaluate.limit,
        stopping=stopping,
    )


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
    share = layout.hears(plan.update.accumulate)
    plain = plan.update.name == "sync" and plan.optim.name != "lbfgs" and not plan.data.whole
    if plan.tracking.noise is None or share is None or not plain:
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


def recipe_of(plan: Plan, folder: Path, code: Path) -> Recipe[Any]:
    """The plan's recipe; its cache is shared by all runs of one home."""
    cache = folder.parents[1] / "cache" / plan.recipe.name
    cache.mkdir(parents=True, exist_ok=True)
    return load(code / plan.place.recipe_file, plan, cache)


def _room(shelf: str, name: str) -> Any:
    """The module of a layout or an update."""
    module = {"single": "base", "async": "hybrid"}.get(name, name)
    return importlib.import_module(f"turnaround.engine.{shelf}.{module}")


def _steps(plan: Plan) -> int | None:
    """How many steps are planned, as far as the budget says."""
    budget = plan.budget
    limits = (budget.steps, math.ceil((budget.examples or 0) / plan.data.batch))
    return min((limit for limit in limits if limit), default=None)


# ── the process ──


class Wish:
    """Somebody's wish that this process stop, by SIGINT or SIGTERM.

    At first it ends the process. Once deferred it is taken down for the loop, which stops and saves
    after the step; whoever asks by SIGINT a second time does not want to wait for that.
    """

    def __init__(self) -> None:
        self._deferred = False
        self._made = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self._made

    def defer(self) -> None:
        """From now on the loop asks."""
        self._deferred = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._deferred or (self._made and number == signal.SIGINT):
            raise Signalled(number, signal.Signals(number).name)
        self._made = True

    def __enter__(self) -> Wish:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _settle(plan: Plan, code: Path, threads: int) -> None:
    """Work in the project's folder, with the snapshot's modules first."""
    os.chdir(plan.place.project)
    sys.path.insert(0, str(code))
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # it can be set once in the life of a process
        torch.set_num_interop_threads(1)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Afterwards the process is as it was: an inline run is a guest in somebody's program."""
    folder, path, threads = Path.cwd(), list(sys.path), torch.get_num_threads()
    environ = dict(os.environ)  # ranks that meet on this machine tell gloo to stay inside it
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        sys.path[:] = path
        torch.set_num_threads(threads)


def main(job: str, events: int) -> int:
    """One rank as a process of its own: `job` is a file, `events` an open descriptor."""
    faulthandler.enable()  # a crash in native code leaves a trace in the log
    given = json.loads(Path(job).read_text())
    plan, assignment = from_dict(Plan, given["plan"]), from_dict(Assignment, given["assignment"])
    enter = pkgutil.resolve_name(plan.entry)
    return int(enter(plan, assignment, lambda line: _write(events, line)))


def _write(descriptor: int, line: str) -> None:
    os.write(descriptor, f"{line}\n".encode())


if __name__ == "__main__":
    code = main(sys.argv[1], int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(code)  # nothing is left to take apart, and gloo's threads need not be waited for
