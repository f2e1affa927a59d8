"""What a step costs with batches of each size, up to where time or memory ends.

    for found in gauge(world, parts, start=16, rate=0.001, until=time.time() + 10):
        report.event("gauge", **found)      # batch, seconds of a step, of these waited, memory

Each batch is twice the one before, timed over a few steps, and tried only if it should be done in
time. One that does not fit ends its process, which was made for this: what was said before counts.
The first ones, about the plan's own batch, are then timed once more, if there is time: steps of a
process that is a second old, or beside something that came and went, took a quarter longer.
"""

from __future__ import annotations

import math
import resource
import statistics
import sys
import time
from collections.abc import Iterator

import torch

from turnaround.engine import loop
from turnaround.engine.data import Feed
from turnaround.engine.probe import step
from turnaround.engine.world import World

WARM = 1  # steps of each size that are not counted: the first ones allocate
LEAST, MOST = 3, 30  # that are,
ENOUGH = 0.3  # or as many as take so many seconds
DOUBLINGS = 7  # from half of the batch to 64 times as much
TWICE = 4  # sizes, from half of the batch to four times as much, that are timed once more
SPARE = 0.9  # of the memory of a GPU that nobody uses: others may want a little more


def gauge(
    world: World, parts: loop.Parts, start: int, rate: float, until: float
) -> Iterator[dict[str, float]]:
    """For each size what this rank found; `until` is in seconds since the epoch."""
    _keep_to_spare(world.device)
    tried: list[dict[str, float]] = []
    size: int | None = start
    while size is not None:
        tried.append(_sized(world, parts, parts.feed.resized(size), rate))
        yield tried[-1]
        size = world.share(_next(start, tried[-1], until))
    for found in tried[:TWICE]:
        takes = found["seconds"] * (WARM + _many(found["seconds"]))
        if not world.share(time.time() + takes < until):
            return
        again = _sized(world, parts, parts.feed.resized(int(found["batch"])), rate)
        yield min(found, again, key=lambda one: one["seconds"]) | {"memory": found["memory"]}


def _keep_to_spare(device: torch.device) -> None:
    """Others on this GPU, who may be at it for days, must not run short."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        torch.cuda.set_per_process_memory_fraction(SPARE * free / total, device)


def _next(start: int, found: dict[str, float], until: float) -> int | None:
    size = 2 * int(found["batch"])
    takes = 2 * found["seconds"] * (WARM + LEAST)
    second = size == 2 * start  # one alone does not tell a step's cost from its examples'
    goes_on = second or time.time() + takes < until
    return size if goes_on and size <= start * 2**DOUBLINGS else None


def _many(seconds: float) -> int:
    """Steps to time, of so many seconds each."""
    return min(max(math.ceil(ENOUGH / seconds), LEAST), MOST)


def _sized(world: World, parts: loop.Parts, feed: Feed, rate: float) -> dict[str, float]:
    """Some steps on batches of one size."""

    def timed(number: int) -> tuple[float, float]:
        began = time.perf_counter()
        wait = step(parts, feed, number * feed.size, rate)
        return time.perf_counter() - began, wait

    first = [timed(number) for number in range(WARM + 1)][-1]
    more = world.share(_many(first[0]) - 1)
    rest = [timed(WARM + 1 + number) for number in range(more)]
    seconds, waits = zip(first, *rest, strict=True)
    return {
        "batch": feed.size,
        "seconds": statistics.median(seconds),
        "wait": statistics.median(waits),
        "memory": _peak(world.device),
    }


def _peak(device: torch.device) -> int:
    """The most bytes that this process has held so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
