"""What an experiment would take on so many devices with such a batch, before anything is spent.

    known = Known(batch=32, steps=3000, scale=Interval(60, 90, 140), lr=1e-3)
    points = front(known, law, devices=[1, 2, 4, 8], batches=[32, 64, 128, 256])
    best(points)                        # the cheapest in device-seconds among the nearly fastest

Steps follow the gradient noise scale 𝓑 (McCandlish et al., 2018, eq. 2.11): at batch B it takes
S = S_min (1 + 𝓑/B), so steps at one batch tell those at all others. Seconds a step are the
throughput law's. The learning rate goes with (1 + 𝓑/B₀)/(1 + 𝓑/B), whole for SGD and by its root
for optimizers that divide by a gradient's size (section 2.2 and appendix E.2 there).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from turnaround.forecast.guess import Interval
from turnaround.forecast.throughput import Law

RULES = {"sgd": 1.0, "momentum": 1.0}  # how the learning rate follows; of all others the root
ROOT = 0.5
NEARLY = 1.05  # times the least: as good


@dataclass(frozen=True)
class Known:
    """A run to the target at one batch; examples are what 𝓑 counts."""

    batch: int
    steps: float
    scale: Interval  # 𝓑
    lr: float
    optimizer: str = "sgd"
    pace: float = 0.1  # relative uncertainty of a step's seconds

    def needed(self, batch: float, scale: float) -> float:
        """Steps to the same target at another batch."""
        return self.steps * (1 + scale / batch) / (1 + scale / self.batch)

    def rate(self, batch: float) -> float:
        """The learning rate there."""
        gain = (1 + self.scale.middle / self.batch) / (1 + self.scale.middle / batch)
        rate: float = self.lr * gain ** RULES.get(self.optimizer, ROOT)
        return rate

    @property
    def ceiling(self) -> float:
        """How many times fewer steps any batch can need: 1 + 𝓑/B."""
        return 1 + self.scale.middle / self.batch


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

    def words(self, layout: str, degree: str) -> str:
        """What to add to the command line."""
        words = [f"data.batch={self.batch}", f"budget.steps={math.ceil(self.steps)}"]
        words += [f"optim.lr={self.lr:.3g}"]
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
    each = law.seconds(devices, 1, batch / devices / accumulate, accumulate)
    ends = [known.needed(batch, scale) for scale in (known.scale.low, known.scale.high)]
    middle = known.needed(batch, known.scale.middle)
    seconds = Interval(
        min(*ends, middle) * each * (1 - known.pace),
        middle * each,
        max(*ends, middle) * each * (1 + known.pace),
    )
    rate = known.rate(batch)
    return Point(devices, batch, accumulate, middle, rate, seconds, seconds.middle * devices)


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
