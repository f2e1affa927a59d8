"""What a run says: events, and the curve of its training loss.

    report = Report(send, attempt=1, rank=0)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)

    curve = Curve(report, device, budget, blame)
    curve.add(step, seconds, loss, norm, where)   # once a step; says something when it is due
    curve.settle(norm)                # before the parameters are judged or saved

A rank has one `Report`, so that its events are numbered without a gap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from turnaround.engine import lines
from turnaround.engine.clock import Clock
from turnaround.engine.lines import Point
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
HOLD = 0.2  # seconds that a line waits for others: a step empties the caches, so they go together


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
        self._held: list[tuple[Callable[..., str], tuple[Any, ...]]] = []  # of lines that wait
        self.hurried = True  # nothing waits: nobody will come by soon to send it
        self.leave = math.inf  # when what waits has to go,
        self.now: Callable[[], float] = time.monotonic  # by the clock of who comes by

    def event(self, kind: str, /, **data: Any) -> None:
        """Say that something happened."""
        if self._rank == 0 or kind in OWN:
            self._seq += 1
            event = Event(kind, data, time.time(), self._attempt, self._rank, self._seq)
            self._hold(kind == "metrics", to_json, event)

    def line(self, kind: str, data: Callable[..., str], *what: Any) -> None:
        """The same of what may wait, and whose data that function of `lines` writes."""
        if self._rank == 0 or kind in OWN:
            self._seq += 1
            stamp = time.time(), self._attempt, self._rank, self._seq
            self._hold(True, lines.line, kind, data, what, stamp)

    def _hold(self, patient: bool, make: Callable[..., str], *what: Any) -> None:
        self._held.append((make, what))
        if self.hurried or not patient:
            self.flush()
        elif len(self._held) == 1:
            self.leave = self.now() + HOLD

    def flush(self) -> None:
        """Send what waits."""
        if self._held:
            said, self._held, self.leave = self._held, [], math.inf
            self._send("\n".join([make(*what) for make, what in said]))

    def account(self, step: int | None = None) -> None:
        """Say where the time went up to now, which is after `step`."""
        self._step = self._step if step is None else step
        spent = self.clock.read(), time.process_time()
        self.line("ledger", lines.ledger, self._step, self.clock.began, *spent)

    def warning(self, message: str) -> None:
        """Something failed, and the run goes on."""
        self.event("warning", message=message)


Where = Callable[[], Point]  # the step just taken; asked when there is something to say
Budget = Callable[[Point], tuple[int | None, float]]  # steps planned, and the share that is spent


class Curve:
    """The loss of training, as points; also the watch for numbers that are not finite."""

    def __init__(
        self,
        report: Report,
        device: torch.device,
        budget: Budget,
        blame: Callable[[Point], str],
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[float], float] = lambda speed: math.nan,
    ) -> None:
        self._report = report
        self._used = used  # examples a second → the share of what the devices could do
        self._late = None if device.type == "cpu" else Late()
        self._fastest = FASTEST
        self._budget = budget
        self._blame = blame
        self._clock = report.now = clock
        self._loss = self._count = 0.0  # summed since the last point
        self._latest: Where | None = None  # a step not said yet,
        self._seen: float | None = None  # and its norm
        self._last: Where | None = None  # the last step, until `settle` has looked at it
        self._said = self._glanced = self._told = -math.inf  # when point, progress, ledger were
        self._due = -math.inf  # second of training at which the norm is asked for
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
        if step < self._next and now < self._wake and seconds < self._due:
            total, count = loss.pair
            if isfinite(total):
                self._loss += total
                self._count += count
                self._latest, self._seen = where, None
                return
        wanted = step <= EARLY or seconds >= self._due
        if wanted:
            self._due = seconds + SECONDS
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
        else:
            self._wake = min(self._wake, self._report.leave - self._pause)

    def settle(self, norm: Norm) -> None:
        """Say and check all there is so far; the time until the next step is not training."""
        if self._late is not None and (read := self._late.rest()):
            self._take(*read)
        if self._last:  # on every rank, whatever it has said: all ask for a norm, or none
            left = norm().item()
            if not isfinite(left):
                self._refuse(self._last(), 0.0, left)
        if self._latest:
            self._say(self._latest(), self._clock())
        self._wake, self._since, self._last = -math.inf, None, None
        self._report.hurried = True
        self._report.flush()

    def _take(self, where: Where, step: int, loss: tuple[float, float], norm: float | None) -> None:
        total, count = loss
        if not isfinite(total) or (norm is not None and not isfinite(norm)):
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
        values = loss, math.nan if norm is None else norm, speed, self._used(speed)
        self._report.line("metrics", lines.point, point, values)
        if now - self._glanced >= GLANCE:
            self._glance(point, loss, now)

    def _glance(self, point: Point, loss: float, now: float) -> None:
        """Where the run stands, for who watches it; where its time goes half as often."""
        self._glanced = now
        steps, share = self._budget(point)
        speed = self._speed if isfinite(self._speed) else 0.0
        self._report.line("progress", lines.progress, point, speed, loss, steps, min(share, 1.0))
        if now - self._told >= SECONDS:
            self._told = now
            self._report.account(point.step)

    def _refuse(self, point: Point, loss: float, norm: float | None) -> None:
        what = f"norm of the gradient is {norm}" if isfinite(loss) else f"loss is {loss}"
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
