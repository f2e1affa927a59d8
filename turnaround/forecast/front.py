"""What an experiment would take on so many devices with such a batch, before anything is spent.

    known = Known(batch=32, steps=3000, scale=Interval(60, 90, 140), lr=1e-3)
    points = front(known, law, devices=[1, 2, 4, 8], batches=[32, 64, 128, 256])
    best(points)                        # the cheapest in device-seconds among the nearly fastest

Steps follow the critical batch 𝓑 (McCandlish et al., 2018, eq. 2.11): at batch B it takes
S = S_min (1 + 𝓑/B), so steps at one batch tell those at all others. 𝓑 is about the gradient noise
scale of the way there (`share`), or about twice that (`ADAPTED`), give or take `DOUBT`, until runs
with several batches say better (`learnt`). Seconds a step are the throughput law's. The learning
rate goes with (1 + 𝓑/B₀)/(1 + 𝓑/B), whole for SGD and by its root for optimizers that divide by a
gradient's size (section 2.2 and appendix E.2 there). A schedule keeps its shape: it is stretched as
the steps are, but its warm-up as the steps of the warm-up are, in which there is little noise yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from turnaround.forecast.guess import TAIL, Guess, Interval, quantile
from turnaround.forecast.throughput import Law

RULES = {"sgd": 1.0, "momentum": 1.0}  # how the learning rate follows; of all others the root
ROOT = 0.5
# Where a coordinate's step is divided by its gradient's size, quiet ones count as much as the loud
# that make tr Σ / |G|²: of gradients so divided it was 2.0 (lm) and 3.5 (image) times as large, and
# not to be told where some coordinates hardly ever have one (seq2seq).
ADAPTED = 2.0
# e-folds that the critical batch is off what the noise scale says, whose order of magnitude is all
# that can be hoped for (section 5 there): it takes every direction to be as steep as any other
DOUBT = 1.0
LUCK = 0.08  # e-folds by which one run's steps to a target are off those of its like
STATED = 2 * 1.645  # standard errors from end to end of a noise scale's interval
UNKNOWN = 1.0  # e-folds of doubt about a noise scale that may be as low as zero
GRID = [z / 8 for z in range(-32, 33)]  # standard deviations of doubt
NEARLY = 1.05  # times the least: as good


@dataclass(frozen=True)
class Known:
    """A run to the target at one batch; examples are what 𝓑 counts."""

    batch: int
    steps: float
    scale: Interval  # the gradient noise scale, as it was told: 90 %
    lr: float
    optimizer: str = "sgd"
    pace: float = 0.1  # relative uncertainty of a step's seconds
    whole: float | None = None  # steps of its schedule, of which the target may take a part
    warmup: int = 0  # steps
    early: float | None = None  # the noise scale while it warmed up; none: as later
    every: int | None = None  # from look to look
    looking: float = 0.0  # seconds that its looks took, one device, until it was there
    held: float | None = None  # examples of a micro-batch on a device; none: all of the batch
    ways: Mapping[int, float] = field(default_factory=dict)  # steps there of runs, by batch
    luck: float = LUCK

    @property
    def critical(self) -> Guess:
        """𝓑: at this batch it takes twice the fewest steps."""
        low, high = self.scale.low, self.scale.high
        told = math.log(high / low) / STATED if 0 < low < high else UNKNOWN * (low < high)
        middle = critical(self.optimizer, self.scale.middle)
        return learnt(Guess(middle, math.hypot(told, DOUBT)), self.ways)

    def needed(self, batch: float, critical: float) -> float:
        """Steps to the same target at another batch."""
        return self.steps * self.stretch(batch, critical)

    def stretch(self, batch: float, critical: float) -> float:
        """Steps there that do what one of these did."""
        return (1 + critical / batch) / (1 + critical / self.batch)

    def warming(self, batch: float) -> int:
        """Steps of the warm-up there."""
        sure = self.critical.middle
        early = sure if self.early is None else self.early * sure / self.scale.middle
        return math.ceil(self.warmup * self.stretch(batch, early))

    def rate(self, batch: float) -> float:
        """The learning rate there."""
        return self.lr * gain(self.optimizer, self.critical.middle, self.batch, batch)

    def takes(self, batch: float) -> Guess:
        """The steps there, and how far they may be off."""
        guess = self.critical
        ends = guess.interval()
        low, middle, high = (self.needed(batch, b) for b in (ends.low, guess.middle, ends.high))
        law = abs(math.log(high / low)) / 2 / -quantile(TAIL)
        return Guess(middle, math.hypot(law, math.sqrt(2) * self.luck))

    @property
    def ceiling(self) -> float:
        """How many times fewer steps any batch can need: 1 + 𝓑/B."""
        return 1 + self.critical.middle / self.batch


def critical(optimizer: str, scale: float) -> float:
    """𝓑 for the gradient noise scale that was measured."""
    return scale if optimizer in RULES else ADAPTED * scale


def learnt(prior: Guess, ways: Mapping[int, float]) -> Guess:
    """𝓑 once runs with several batches were there: they say S ∝ 1 + 𝓑/B up to luck."""
    if len(ways) < 2:
        return prior
    misfits = [z * z + _misfit(_at(prior, z), ways) for z in GRID]
    weights = [math.exp((min(misfits) - misfit) / 2) for misfit in misfits]
    mean = sum(z * w for z, w in zip(GRID, weights, strict=True)) / sum(weights)
    off = sum((z - mean) ** 2 * w for z, w in zip(GRID, weights, strict=True)) / sum(weights)
    return Guess(_at(prior, mean), prior.spread * math.sqrt(off))


def _at(guess: Guess, z: float) -> float:
    return guess.middle * math.exp(guess.spread * z)


def _misfit(critical: float, ways: Mapping[int, float]) -> float:
    """Squared standard errors by which the runs are off the law, whatever its fewest steps."""
    logs = [math.log(steps / (1 + critical / batch)) for batch, steps in ways.items()]
    mean = sum(logs) / len(logs)
    return sum((one - mean) ** 2 for one in logs) / LUCK**2


def gain(optimizer: str, critical: float, before: float, after: float) -> float:
    """What the learning rate is multiplied by when the batch changes."""
    times: float = ((1 + critical / before) / (1 + critical / after)) ** RULES.get(optimizer, ROOT)
    return times


@dataclass(frozen=True)
class Point:
    """One way to run it."""

    devices: int
    batch: int  # over all devices
    accumulate: int
    steps: float
    lr: float
    seconds: Interval
    device_seconds: float
    budget: int  # steps of its schedule
    warmup: int = 0
    every: int | None = None  # steps from look to look

    def words(self, layout: str, degree: str) -> str:
        """What to add to the command line."""
        words = [f"data.batch={self.batch}", f"budget.steps={self.budget}"]
        words += [f"optim.lr={self.lr:.3g}"]
        words += [f"optim.warmup={self.warmup}"] * (self.warmup > 0)
        words += [f"evaluate.every={self.every}"] * (self.every is not None)
        words += [f"update.accumulate={self.accumulate}"] * (self.accumulate > 1)
        words += [f"layout={layout}", f"layout.{degree}={self.devices}"] * (self.devices > 1)
        return " ".join(words)


def front(
    known: Known, law: Law, devices: Sequence[int], batches: Sequence[int], most: float = math.inf
) -> list[Point]:
    """Those of all pairs that no other beats in both time and device-time, fastest first.

    `most` examples fit on a device; what is more is accumulated.
    """
    points = [
        point(known, law, count, batch, most)
        for count in devices
        for batch in batches
        if batch % count == 0
    ]
    return undominated(points)


def point(known: Known, law: Law, devices: int, batch: int, most: float = math.inf) -> Point:
    """What one pair takes."""
    accumulate = max(1, math.ceil(batch / devices / most))
    held = batch / devices / accumulate
    each = law.seconds(devices, 1, held, accumulate)
    steps = known.takes(batch)
    stretch = steps.middle / known.steps
    # A look goes over as many examples, in batches as large as a step's.
    looking = known.looking / devices * law.apiece(held) / law.apiece(known.held or known.batch)
    spread = math.hypot(steps.spread, known.pace)
    seconds = Guess(steps.middle * each + looking, spread).interval()
    return Point(
        devices,
        batch,
        accumulate,
        steps.middle,
        known.rate(batch),
        seconds,
        seconds.middle * devices,
        budget=math.ceil((known.whole or known.steps) * stretch),
        warmup=known.warming(batch),
        every=max(1, round(known.every * stretch)) if known.every else None,
    )


def undominated(points: Iterable[Point]) -> list[Point]:
    """The Pareto front of seconds and device-seconds, fastest first."""
    kept: list[Point] = []
    for one in sorted(points, key=lambda p: (p.seconds.middle, p.device_seconds)):
        if not kept or one.device_seconds < kept[-1].device_seconds:
            kept.append(one)
    return kept


def best(
    points: Sequence[Point], within: float | None = None, cost: float | None = None
) -> Point | None:
    """The cheapest that is nearly the fastest; or that ends `within` seconds, for `cost` at most.

    None where no point does: then the nearest is the first of `points`.
    """
    fits = [p for p in points if cost is None or p.device_seconds <= cost]
    if within is not None:
        fits = [p for p in fits if p.seconds.high <= within]
        return min(fits, key=lambda p: p.device_seconds, default=None)
    if not fits:
        return None
    least = min(p.seconds.middle for p in fits)
    nearly = [p for p in fits if p.seconds.middle <= NEARLY * least]
    return min(nearly, key=lambda p: p.device_seconds)
