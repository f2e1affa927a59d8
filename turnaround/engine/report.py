"""What a run says: events, and the curve of its training loss.

    report = Report(send, attempt=1, rank=0)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)

    curve = Curve(report, device, 3000, blame)
    curve.add(step, seconds, loss, norm, where)   # once a step; says something when it is due
    curve.settle(norm)                # before the parameters are judged or saved

A rank has one `Report`, so that its events are numbered without a gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

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
SHARED = 0.005  # or 200 of all those that are trained as one
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
        self.hurried = True  # nothing waits: nobody will come by soon to send it
        self.leave = math.inf  # when what waits has to go,
        self.now: Callable[[], float] = time.monotonic  # by the clock of who comes by

    def event(self, kind: str, /, **data: Any) -> None:
        """Say that something happened."""
        if self._rank == 0 or kind in OWN:
            self._seq += 1
            event = Event(kind, data, time.time(), self._attempt, self._rank, self._seq)
            self._hold(to_json(event), patient=kind in PATIENT)

    def point(self, where: Point, values: str) -> None:
        """Say what a training step came to: `values` as JSON has them, without the brackets.

        It is the line that `event` makes, 30 µs sooner: a step has emptied the caches.
        """
        if self._rank == 0:
            self._seq += 1
            self._hold(
                f'{{"kind": "metrics", "data": {{"step": {where.step}, "epoch": {where.epoch!r}, '
                f'"examples": {where.examples}, "split": "train", "values": {{{values}}}, '
                f'"seconds": {where.seconds!r}}}, "time": {time.time()!r}, '
                f'"attempt": {self._attempt}, "rank": 0, "seq": {self._seq}}}',
                patient=True,
            )

    def _hold(self, line: str, patient: bool) -> None:
        self._held.append(line)
        if self.hurried or not patient:
            self.flush()
        elif len(self._held) == 1:
            self.leave = self.now() + HOLD

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            said, self._held, self.leave = self._held, [], math.inf
            self._send("\n".join(said))

    def account(self, step: int | None = None) -> None:
        """Say where the time went up to now, which is after `step`."""
        self._step = self._step if step is None else step
        spent = {"rows": self.clock.read(), "cpu": time.process_time()}
        self.event("ledger", step=self._step, began=self.clock.began, **spent)

    def warning(self, message: str) -> None:
        """Something failed, and the run goes on."""
        self.event("warning", message=message)


class Point(NamedTuple):
    """Where a step stands."""

    step: int
    epoch: float
    examples: int
    seconds: float
    share: float  # of the budget
    rate: float  # of learning
    size: int = 0  # examples of the step


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
        used: Callable[[float], float] = lambda speed: math.nan,
    ) -> None:
        self._report = report
        self._used = used  # examples a second → the share of what the devices could do
        self._late = None if device.type == "cpu" else Late()
        self._fastest = FASTEST
        self._steps = steps
        self._blame = blame
        self._clock = report.now = clock
        self._loss = self._count = 0.0  # summed since the last point
        self._latest: Where | None = None  # a step not said yet,
        self._seen: float | None = None  # and its norm
        self._last: Where | None = None  # the last step, until `settle` has looked at it
        self._said = self._glanced = self._told = -math.inf  # when point, progress, ledger were
        self._normed = -math.inf  # second of training at which the norm was asked for
        self._next, self._wake = 0, -math.inf  # nothing is due before this step and this moment
        self._at = (0, -math.inf)  # the last step at which something was, and when;
        self._pause = math.inf  # seconds a step from the one before that to this
        self._since: tuple[float, int] | None = None  # when speed was last measured, and examples
        self._speed = math.nan  # examples a second

    def among(self, many: int) -> None:
        """Of so many that are trained as one: its numbers are on the host already, and points come
        less often, as all of them together cost time."""
        self._late = None
        self._fastest = max(FASTEST, many * SHARED)

    def add(self, step: int, seconds: float, loss: Mean, norm: Norm, where: Where) -> None:
        """Take a step down; NumericsError when its numbers, or the last one's, are not finite.

        Mostly there is nothing to say. A step has emptied the caches, so each line that is not
        needed then is left out: 8 µs, where asking everything takes 30.
        """
        now, self._last = self._clock(), where
        if (
            step < self._next
            and seconds < self._normed + SECONDS
            and now < self._wake
            and now + self._pause < self._report.leave
        ):
            total, count = loss.pair
            if math.isfinite(total):
                self._loss += total
                self._count += count
                self._latest, self._seen = where, None
                return
        wanted = step <= EARLY or seconds >= self._normed + SECONDS
        if wanted:
            self._normed = seconds
        self._attend(step, now, loss, norm if wanted else None, where)

    def _attend(self, step: int, now: float, loss: Mean, norm: Norm | None, where: Where) -> None:
        """Something may be due: a point, a norm, or what waits to be sent.

        The norm costs a pass over all gradients, so it is asked for at early steps and then once a
        second, by the clock of rank 0: all ranks ask, or none. What else it would have told, the
        next step's loss does.
        """
        last, then = self._at
        self._at, self._pause = (step, now), (now - then) / max(step - last, 1)
        self._report.hurried = False
        if self._late is None:
            self._take(where, step, loss.pair, norm().item() if norm else None)
            self._next = step + 1 if step < EARLY else step - step % EVERY + EVERY
            self._wake = self._said + SECONDS
        elif read := self._late.swap(where(), loss.values, norm):
            self._take(*read)
        if now + self._pause * max(self._next - step, 1) >= self._report.leave:
            self._report.flush()  # what is said next would come too late to go along

    def settle(self, norm: Norm) -> None:
        """Say and check all there is so far; the time until the next step is not training."""
        if self._late is not None and (read := self._late.rest()):
            self._take(*read)
        if self._last:  # on every rank, whatever it has said: all ask for a norm, or none
            left = norm().item()
            if not math.isfinite(left):
                self._refuse(self._last(), 0.0, left)
        if self._latest:
            self._say(self._latest(), self._clock())
        self._wake, self._since, self._last = -math.inf, None, None
        self._report.hurried = True
        self._report.flush()

    def _take(self, where: Where, step: int, loss: tuple[float, float], norm: float | None) -> None:
        total, count = loss
        if not math.isfinite(total) or (norm is not None and not math.isfinite(norm)):
            self._refuse(where(), total, norm)
        self._loss += total
        self._count += count
        self._latest, self._seen = where, norm
        now = self._clock()
        waited = now - self._said
        if step <= EARLY or (waited >= self._fastest and (step % EVERY == 0 or waited >= SECONDS)):
            self._say(where(), now)

    def _say(self, point: Point, now: float) -> None:
        if self._since:
            then, examples = self._since
            self._speed = (point.examples - examples) / max(now - then, 1e-9)
        self._since = (now, point.examples)
        loss, norm, speed = self._loss / self._count, self._seen, self._speed
        self._loss = self._count = 0.0
        self._said, self._latest = now, None
        values = f'"loss": {loss!r}, "lr": {point.rate!r}'
        if norm is not None:
            values += f', "norm": {norm!r}'
        if math.isfinite(speed):  # it is known
            values += f', "speed": {speed!r}'
        if math.isfinite(used := self._used(speed)):
            values += f', "mfu": {used!r}'
        self._report.point(point, values)
        if now - self._glanced >= GLANCE:
            self._glance(point, loss, now)

    def _glance(self, point: Point, loss: float, now: float) -> None:
        """Where the run stands, for who watches it; where its time goes half as often."""
        self._glanced = now
        self._report.event(
            "progress",
            step=point.step,
            epoch=point.epoch,
            examples=point.examples,
            rate=self._speed if math.isfinite(self._speed) else 0.0,
            loss=loss,
            steps=self._steps,
            share=min(point.share, 1.0),
        )
        if now - self._told >= SECONDS:
            self._told = now
            self._report.account(point.step)

    def _refuse(self, point: Point, loss: float, norm: float | None) -> None:
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
