"""What a run says: events, and the curve of its training loss.

    report = Report(send, attempt=1, rank=0)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)

    curve = Curve(report, device, 3000, blame)
    curve.add(point, loss, norm)      # once a step; says something when it is due
    curve.settle()                    # before the parameters are judged or saved

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
        self._latest: tuple[Point, float] | None = None  # a step not said yet, and its norm
        self._said = self._glanced = -math.inf  # when the last point and progress were
        self._since: tuple[float, int] | None = None  # when speed was last measured, and examples
        self._speed = math.nan  # examples a second

    def add(self, point: Point, loss: Tensor, norm: Tensor) -> None:
        """Take a step down; NumericsError when its numbers, or the last one's, are not finite."""
        if read := self._late.swap(point, torch.stack((loss[0], loss[1], norm))):
            self._take(*read)

    def settle(self) -> None:
        """Say and check all there is so far; the time until the next step is not training."""
        if read := self._late.rest():
            self._take(*read)
        if self._latest:
            self._say(*self._latest, self._clock())
        self._since = None

    def _take(self, point: Point, values: list[float]) -> None:
        loss, count, norm = values
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._accusation(point, loss, norm)
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

    def _say(self, point: Point, norm: float, now: float) -> None:
        self._measure(point, now)
        loss = self._loss / self._count
        self._loss = self._count = 0.0
        self._said, self._latest = now, None
        values = {"loss": loss, "lr": point.rate, "norm": norm, "speed": self._speed}
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

    def _accusation(self, point: Point, loss: float, norm: float) -> NumericsError:
        loss_is_fine = math.isfinite(loss)
        what = f"norm of the gradient is {norm}" if loss_is_fine else f"loss is {loss}"
        return NumericsError(
            f"at step {point.step} the {what}: {self._blame(point)}",
            "try a smaller optim.lr, optim.clip=1 or precision=fp32; the last checkpoint is good",
        )


class Late:
    """Numbers of the device: a CPU's at once, others a step late, so that the host never waits."""

    def __init__(self, device: torch.device) -> None:
        self._waits = device.type == "cpu"
        self._held: tuple[Point, Tensor, torch.Event] | None = None

    def swap(self, point: Point, values: Tensor) -> tuple[Point, list[float]] | None:
        """The newest that can be read without waiting, in return for these."""
        if self._waits:
            return point, values.tolist()
        before = self.rest()
        host = torch.empty_like(values, device="cpu", pin_memory=True)
        host.copy_(values, non_blocking=True)
        done = torch.Event(values.device)
        done.record()
        self._held = (point, host, done)
        return before

    def rest(self) -> tuple[Point, list[float]] | None:
        """What is still held."""
        if self._held is None:
            return None
        point, host, done = self._held
        self._held = None
        done.synchronize()
        return point, host.tolist()
