"""The lines of what is said again and again, as JSON would have them, in half its time.

    line("ledger", ledger, (100, clock.began, clock.read(), 1.5), (time.time(), 1, 0, 7))

A step leaves the caches cold. Then JSON takes 45 µs for a point, a field that is asked for by its
name 1 µs more than one that is unpacked, and these 20 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

NAMES = ("norm", "speed", "mfu")  # of what is told beside the loss, where it is known
Stamp = tuple[float, int, int, int]  # time, attempt, rank, number
# What a training step came to: loss, norm of the gradients, examples a second, and the share used
# of what the devices could do; what is not finite is not known.
Values = tuple[float, float, float, float]


class Point(NamedTuple):
    """Where a step stands."""

    step: int
    epoch: float
    examples: int
    seconds: float
    rate: float  # of learning
    size: int = 0  # examples of the step


def line(kind: str, data: Callable[..., str], what: tuple[Any, ...], stamp: Stamp) -> str:
    """An event whose data that function writes."""
    moment, attempt, rank, number = stamp
    return (
        f'{{"kind": "{kind}", "data": {{{data(*what)}}}, "time": {moment!r}, '
        f'"attempt": {attempt}, "rank": {rank}, "seq": {number}}}'
    )


def point(where: Point, values: Values) -> str:
    """Of a `metrics` event."""
    step, epoch, examples, seconds, rate, _ = where
    loss, *others = values
    told = f'"loss": {loss!r}, "lr": {rate!r}'
    for name, value in zip(NAMES, others, strict=True):
        if isfinite(value):
            told += f', "{name}": {value!r}'
    return (
        f'"step": {step}, "epoch": {epoch!r}, "examples": {examples}, "split": "train", '
        f'"values": {{{told}}}, "seconds": {seconds!r}'
    )


def progress(where: Point, speed: float, loss: float, steps: int | None, share: float) -> str:
    """Of a `progress` event."""
    step, epoch, examples, *_ = where
    return (
        f'"step": {step}, "epoch": {epoch!r}, "examples": {examples}, "rate": {speed!r}, '
        f'"loss": {loss!r}, "steps": {steps or "null"}, "share": {share!r}'
    )


def ledger(step: int, began: float, rows: dict[str, float], cpu: float) -> str:
    """Of a `ledger` event."""
    spent = ", ".join([f'"{row}": {seconds!r}' for row, seconds in rows.items()])
    return f'"step": {step}, "began": {began!r}, "rows": {{{spent}}}, "cpu": {cpu!r}'
