"""What a probe measured of a recipe on this hardware, and what runs since have said.

    speeds = Speeds([Size(devices=1, batch=64, seconds=0.021, wait=0.0, memory=10**9)], most=512)
    steps = refined(speeds.steps, [told.step for told in runs])    # for `throughput.fit`
    covers(steps, [1, 2])                   # several batch sizes were timed on each

A probe's steps are few and bare: what a run of the same kind takes longer is taken to be true of
all of them. So each run that ends makes the others surer.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from turnaround.forecast.throughput import Step, fit

SIZES = 2  # that tell what a step costs from what its examples do


@dataclass(frozen=True)
class Size:
    """One kind of step, measured."""

    devices: int
    batch: int  # over all of them, in one micro-batch each
    seconds: float
    wait: float  # of them, for other devices
    memory: int  # bytes, the most that a process held

    @property
    def step(self) -> Step:
        """As the law of throughput wants it."""
        return Step(self.devices, 1, self.batch / self.devices, 1, self.seconds, self.wait)


@dataclass(frozen=True)
class Speeds:
    """All that is known from probes."""

    sizes: list[Size] = field(default_factory=list)
    most: int | None = None  # examples of a micro-batch that fit a device; none: no end was met

    @property
    def steps(self) -> list[Step]:
        """As the law of throughput wants them."""
        return [size.step for size in self.sizes]

    def with_(self, other: Speeds) -> Speeds:
        """Both; of the same number of devices what the other says."""
        newer = {size.devices for size in other.sizes}
        kept = [size for size in self.sizes if size.devices not in newer]
        ends = [most for most in (self.most, other.most) if most is not None]
        both = sorted([*kept, *other.sizes], key=lambda size: (size.devices, size.batch))
        return Speeds(both, min(ends, default=None))


def refined(probed: Sequence[Step], runs: Sequence[Step]) -> list[Step]:
    """The probe's steps, as much slower as runs were than they told, and those of the runs."""
    if not probed or not runs:
        return [*probed, *runs]
    law = fit(probed)
    ratios = [r.seconds / law.seconds(r.devices, r.nodes, r.batch, r.micro) for r in runs]
    more = statistics.median(ratios)
    told = [replace(s, seconds=more * s.seconds, wait=more * s.wait) for s in probed]
    return [*told, *runs]


def covers(steps: Sequence[Step], devices: Iterable[int]) -> bool:
    """Each of these numbers of devices was timed, and one of them with several batch sizes."""
    timed = {step.devices for step in steps}
    sizes = {(step.devices, step.batch) for step in steps}
    return all(count in timed for count in devices) and len(sizes) >= len(timed) - 1 + SIZES
