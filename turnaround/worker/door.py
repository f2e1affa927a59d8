"""What a rank can be asked to do with its plan, and the exit code of having done it."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from turnaround.engine import loop, precision, probe, sizes
from turnaround.engine.clock import Clock
from turnaround.engine.failure import explain
from turnaround.engine.growth import saved
from turnaround.engine.preflight import look
from turnaround.engine.report import Report
from turnaround.engine.world import join
from turnaround.spec import Assignment, Plan
from turnaround.worker.assembly import assemble, layout_of, recipe_of
from turnaround.worker.process import Wish, restored, settle

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
    with restored(), Wish() as wish:
        try:
            settle(plan, Path(assignment.code), assignment.threads)
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
        if world.device.type == "cuda":  # others on it must not run short
            torch.cuda.set_per_process_memory_fraction(plan.cluster.share or 1.0, world.device)
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
    with precision.named(plan.precision).parameters():
        report.event("fit", **asdict(look(plan, make, layout_of(plan))))
