"""What a run says: events, and the curve of its training loss.

    report = Report(send, attempt=1, rank=0)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)

    curve = Curve(report, device, 3000, blame)
    curve.add(step, loss, norm, where)   # once a step; says something when it is due
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
from turnaround.engine.metrics import Mean
from turnaround.errors import NumericsError
from turnaround.spec import Event, to_json

OWN = ("worker", "error", "ledger", "probe")  # what each rank says for itself, rank 0 the rest
EARLY = 50  # steps that are all points: where a curve moves most; short comparisons need each;
EVERY = 10  # then each tenth step,
SECONDS = 1.0  # or one a second where ten steps take longer,
FASTEST = 0.02  # and never more than 50 a second
Norm = Callable[[], Tensor]  # of the step's gradients; costs a pass over them
GLANCE = 0.5  # seconds between two `progress` events
PATIENT = ("metrics", "progress", "ledger")  # may wait for others, to be sent with them
HOLD = 0.05  # seconds that they wait at most: a message wakes its reader, often on our own core


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
        self._held: list[str] = []
        self._since = 0.0  # when the first of them was said
        self.hurried = True  # nothing waits: nobody will come by soon to send it

    def event(self, kind: str, **data: Any) -> None:
        """Say that something happened."""
        if self._rank == 0 or kind in OWN:
            self._seq += 1
            event = Event(kind, data, time.time(), self._attempt, self._rank, self._seq)
            self._since = self._since if self._held else event.time
            self._held.append(to_json(event))
            if self.hurried or kind not in PATIENT:
                self.flush()

    def pass_by(self, pause: float) -> None:
        """Send what cannot wait for the next time, in `pause` seconds; once a step."""
        if self._held and time.time() - self._since + pause >= HOLD:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            self._send("\n".join(self._held))
            self._held = []

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


Where = Callable[
    [], Point
]  # the step that has just been taken; asked when there is something to say


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
        self._late = None if device.type == "cpu" else Late()
        self._steps = steps
        self._blame = blame
        self._clock = clock
        self._loss = self._count = 0.0  # summed since the last point
        self._latest: Where | None = None  # a step not said yet,
        self._seen: float | None = None  # and its norm
        self._said = self._glanced = self._normed = -math.inf  # when point, progress, norm were
        self._added = -math.inf  # when the last step was
        self._since: tuple[float, int] | None = None  # when speed was last measured, and examples
        self._speed = math.nan  # examples a second

    def add(self, step: int, loss: Mean, norm: Norm, where: Where) -> None:
        """Take a step down; NumericsError when its numbers, or the last one's, are not finite.

        The norm costs a pass over all gradients, so it is asked for at early steps and then once a
        second. What else it would have told, the next step's loss does.
        """
        now = self._clock()
        pause, self._added = now - self._added, now
        self._report.hurried = pause >= HOLD
        wanted = step <= EARLY or now - self._normed >= SECONDS
        if wanted:
            self._normed = now
        if self._late is None:
            self._take(where, step, loss.pair, norm().item() if wanted else None)
        elif read := self._late.swap(where(), loss.values, norm if wanted else None):
            self._take(*read)
        self._report.pass_by(pause)

    def settle(self, norm: Norm) -> None:
        """Say and check all there is so far; the time until the next step is not training."""
        if self._late is not None and (read := self._late.rest()):
            self._take(*read)
        if self._latest:
            self._check(self._latest, 0.0, norm().item())
            self._say(self._latest(), self._clock())
        self._report.hurried, self._since = True, None
        self._report.flush()

    def _take(self, where: Where, step: int, loss: tuple[float, float], norm: float | None) -> None:
        total, count = loss
        self._check(where, total, norm)
        self._loss += total
        self._count += count
        self._latest, self._seen = where, norm
        now = self._clock()
        if self._due(step, now - self._said):
            self._say(where(), now)

    def _due(self, step: int, waited: float) -> bool:
        if step <= EARLY:
            return True
        return waited >= FASTEST and (step % EVERY == 0 or waited >= SECONDS)

    def _measure(self, point: Point, now: float) -> None:
        if self._since:
            then, examples = self._since
            self._speed = (point.examples - examples) / max(now - then, 1e-9)
        self._since = (now, point.examples)

    def _say(self, point: Point, now: float) -> None:
        self._measure(point, now)
        loss = self._loss / self._count
        self._loss = self._count = 0.0
        self._said, self._latest = now, None
        seen = math.nan if self._seen is None else self._seen
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

    def _check(self, where: Where, loss: float, norm: float | None) -> None:
        if math.isfinite(loss) and (norm is None or math.isfinite(norm)):
            return
        point = where()
        what = f"norm of the gradient is {norm}" if math.isfinite(loss) else f"loss is {loss}"
        raise NumericsError(
            f"at step {point.step} the {what}: {self._blame(point)}",
            "try a smaller optim.lr, optim.clip=1 or precision=fp32; the last checkpoint is good",
        )


Read = tuple[Where, int, tuple[float, float], float | None]  # a step, its loss, its norm


class Late:
    """Numbers of a device, read a step late, so that the host never waits."""

    def __init__(self) -> None:
        self._held: tuple[Point, Tensor, torch.Event] | None = None

    def swap(self, point: Point, loss: Tensor, norm: Norm | None) -> Read | None:
        """The newest that can be read without waiting, in return for these."""
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
        total, count, *norm = host.tolist()
        return lambda: point, point.step, (total, count), norm[0] if norm else None
