"""What a run says: events, and the curve of its training loss.

    report = Report(send, attempt=1, rank=0)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)

    curve = Curve(report, device, 3000, blame)
    curve.add(point, loss, norm)      # once a step; says something when it is due
    curve.settle(norm)                # before the parameters are judged or saved

A rank has one `Report`, so that its events are numbered without a gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from turnaround.engine.clock import Clock
from turnaround.errors import NumericsError
from turnaround.spec import Event, to_json

OWN = ("worker", "error", "ledger")  # what each rank says for itself; the rest rank 0 says for all
EARLY = 100  # steps that are all points: where a curve moves most; short comparisons need each;
EVERY = 10  # then each tenth step,
SECONDS = 1.0  # or one a second where ten steps take longer,
FASTEST = 0.02  # and never more than 50 a second
Norm = Callable[[], Tensor]  # of the step's gradients; costs a pass over them
GLANCE = 0.5  # seconds between two `progress` events


class Report:
    """One rank's voice: events, stamped and numbered."""

    def __init__(
        self, send: Callable[[str], None], attempt: int, rank: int, clock: Clock | None = None
    ) -> None:
        self.clock = clock or Clock()
        self._step = 0
        self._send = send
        self._attempt = attempt
        self._rank = rank
        self._seq = 0

    def event(self, kind: str, **data: Any) -> None:
        """Say that something happened."""
        if self._rank == 0 or kind in OWN:
            self._seq += 1
            event = Event(kind, data, time.time(), self._attempt, self._rank, self._seq)
            self._send(to_json(event))

    def account(self, step: int | None = None) -> None:
        """Say where the time went up to now, which is after `step`."""
        self._step = self._step if step is None else step
        self.event("ledger", step=self._step, began=self.clock.began, rows=self.clock.read())

    def warning(self, message: str) -> None:
        """Something failed, and the run goes on."""
        self.event("warning", message=message)


@dataclass(frozen=True)
class Point:
    """Where a step stands."""

    step: int
    epoch: float
    examples: int
    seconds: float
    share: float  # of the budget
    rate: float  # of learning


class Curve:
    """The loss of training, as points; also the watch for numbers that are not finite."""

    def __init__(
        self,
        report: Report,
        device: torch.device,
        steps: int | None,
        blame: Callable[[Point], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._late = Late(device)
        self._steps = steps
        self._blame = blame
        self._clock = clock
        self._loss = self._count = 0.0  # summed since the last point
        self._latest: tuple[Point, float | None] | None = None  # a step not said yet, and its norm
        self._said = self._glanced = self._normed = -math.inf  # when point, progress, norm were
        self._since: tuple[float, int] | None = None  # when speed was last measured, and examples
        self._speed = math.nan  # examples a second

    def add(self, point: Point, loss: Tensor, norm: Norm) -> None:
        """Take a step down; NumericsError when its numbers, or the last one's, are not finite.

        `loss` is (sum, count). The norm costs a pass over all gradients, so it is asked for at
        early steps and then once a second. What else it would have told, the next step's loss does.
        """
        now = self._clock()
        wanted = point.step <= EARLY or now - self._normed >= SECONDS
        self._normed = now if wanted else self._normed
        if read := self._late.swap(point, loss, norm if wanted else None):
            self._take(*read)

    def settle(self, norm: Norm) -> None:
        """Say and check all there is so far; the time until the next step is not training."""
        if read := self._late.rest():
            self._take(*read)
        if self._latest:
            point, seen = self._latest
            self._check(point, 0.0, norm().item())
            self._say(point, seen, self._clock())
        self._since = None

    def _take(self, point: Point, loss: float, count: float, norm: float | None) -> None:
        self._check(point, loss, norm)
        self._loss += loss
        self._count += count
        self._latest = (point, norm)
        now = self._clock()
        if self._due(point.step, now - self._said):
            self._say(point, norm, now)

    def _due(self, step: int, waited: float) -> bool:
        if step <= EARLY:
            return True
        return waited >= FASTEST and (step % EVERY == 0 or waited >= SECONDS)

    def _measure(self, point: Point, now: float) -> None:
        if self._since:
            then, examples = self._since
            self._speed = (point.examples - examples) / max(now - then, 1e-9)
        self._since = (now, point.examples)

    def _say(self, point: Point, norm: float | None, now: float) -> None:
        self._measure(point, now)
        loss = self._loss / self._count
        self._loss = self._count = 0.0
        self._said, self._latest = now, None
        seen = math.nan if norm is None else norm
        values = {"loss": loss, "lr": point.rate, "norm": seen, "speed": self._speed}
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        where = {"step": point.step, "epoch": point.epoch, "examples": point.examples}
        self._report.event("metrics", **where, split="train", values=known, seconds=point.seconds)
        if now - self._glanced >= GLANCE:
            self._glanced = now
            known = {"rate": self._speed if math.isfinite(self._speed) else 0.0, "loss": loss}
            self._report.event(
                "progress", **where, **known, steps=self._steps, share=min(point.share, 1.0)
            )
            self._report.account(point.step)

    def _check(self, point: Point, loss: float, norm: float | None) -> None:
        if math.isfinite(loss) and (norm is None or math.isfinite(norm)):
            return
        what = f"norm of the gradient is {norm}" if math.isfinite(loss) else f"loss is {loss}"
        raise NumericsError(
            f"at step {point.step} the {what}: {self._blame(point)}",
            "try a smaller optim.lr, optim.clip=1 or precision=fp32; the last checkpoint is good",
        )


Read = tuple[Point, float, float, float | None]  # a step, its loss's sum and count, the norm


class Late:
    """Numbers of the device: a CPU's at once, others a step late, so that the host never waits."""

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type == "cpu"
        self._held: tuple[Point, Tensor, torch.Event] | None = None

    def swap(self, point: Point, loss: Tensor, norm: Norm | None) -> Read | None:
        """The newest that can be read without waiting, in return for these."""
        if self._waits:
            return _read(point, [*loss.tolist(), norm().item()] if norm else loss.tolist())
        before = self.rest()
        values = torch.stack((loss[0], loss[1], norm())) if norm else loss
        host = torch.empty_like(values, device="cpu", pin_memory=True)
        host.copy_(values, non_blocking=True)
        done = torch.Event(values.device)
        done.record()
        self._held = (point, host, done)
        return before

    def rest(self) -> Read | None:
        """What is still held."""
        if self._held is None:
            return None
        point, host, done = self._held
        self._held = None
        done.synchronize()
        return _read(point, host.tolist())


def _read(point: Point, values: list[float]) -> Read:
    return point, values[0], values[1], values[2] if len(values) > 2 else None
