"""How long a step takes on so many devices with such a batch: a model with few constants, fitted.

    law = fit([Step(devices=1, nodes=1, batch=64, micro=1, seconds=0.021, wait=0.0), …])
    law.seconds(devices=4, nodes=1, batch=256)      # of one step

The form is Pollux's (Qiao et al., 2021, section 3.2): computing takes a + b·m for m examples on a
device, agreeing takes r + s·(K − 2) among K devices of a node (other constants between nodes), and
the two overlap as a γ-norm: γ = 1 means one after the other, large γ means the longer one hides
the shorter. What so few constants miss (caches that a batch no longer fits: a tenth at some sizes)
is said beside them where it was measured, and by a line between two such batches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

STEEPEST = 10.0  # of γ: beyond it nothing changes that could be measured
# Logarithms of batches that grow, and of what was measured at each over what the law says
Missed = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class Step:
    """One measured kind of step: `batch` examples a micro-batch and device, `micro` of them."""

    devices: int
    nodes: int
    batch: float
    micro: int
    seconds: float  # of the step
    wait: float = 0.0  # of that: for other devices, where it is known


@dataclass(frozen=True)
class Law:
    """Seconds: to compute, to agree in a node, to agree between nodes; and how they overlap."""

    base: float  # of a micro-batch, whatever its size
    example: float  # for each example of it
    local: float
    local_more: float  # for each device after the second
    remote: float
    remote_more: float
    overlap: float  # γ
    missed: Mapping[tuple[int, int], Missed] = field(default_factory=dict)  # by devices, nodes

    def compute(self, batch: float) -> float:
        """Of one micro-batch of that many examples on a device."""
        return self.base + self.example * batch

    def agree(self, devices: int, nodes: int) -> float:
        """Of adding up the gradients."""
        if devices == 1:
            return 0.0
        first, more = (
            (self.remote, self.remote_more) if nodes > 1 else (self.local, self.local_more)
        )
        return first + more * max(devices - 2, 0)

    def apiece(self, batch: float) -> float:
        """Of one example among that many."""
        return self.compute(batch) / batch

    def seconds(self, devices: int, nodes: int, batch: float, micro: int = 1) -> float:
        """Of one optimizer step; `batch` examples a micro-batch and device."""
        told = self._told(devices, nodes, batch, micro)
        if missed := self.missed.get((devices, nodes)):
            told *= math.exp(np.interp(math.log(batch), *missed))
        return told

    def _told(self, devices: int, nodes: int, batch: float, micro: int) -> float:
        """The same, by the constants alone."""
        compute, agree = self.compute(batch), self.agree(devices, nodes)
        longer, shorter = max(compute, agree), min(compute, agree)
        together: float = longer * (1 + (shorter / longer) ** self.overlap) ** (1 / self.overlap)
        return (micro - 1) * compute + together

    def rate(self, devices: int, nodes: int, batch: float, micro: int = 1) -> float:
        """Examples a second."""
        return devices * batch * micro / self.seconds(devices, nodes, batch, micro)


def fit(steps: Sequence[Step]) -> Law:
    """The law that is least wrong, by squared logarithms.

    What was never seen is taken from what was. One batch size: half of the time is taken to be the
    base. Nothing from several nodes: agreeing there costs at least 1.1 times what it does in a
    node. At most two devices: none is added for more.
    """
    seen = [step for step in steps if step.seconds > 0]
    if not seen:
        raise ValueError("no step was measured")
    start = _start(seen)
    free = _free(seen)
    solved = least_squares(
        lambda x: _residuals(_law(start, free, x), seen),
        np.zeros(len(free)),
        bounds=(-12.0, 12.0),
    )
    law = _law(start, free, solved.x)
    if not any(step.nodes > 1 for step in seen):
        worse = (1.1 * law.local, 1.1 * law.local_more)
        law = Law(law.base, law.example, law.local, law.local_more, *worse, law.overlap)
    return replace(law, missed=_missed(law, seen))


def _missed(law: Law, seen: Sequence[Step]) -> dict[tuple[int, int], Missed]:
    """Where each kind of step was measured; the mean where it was more than once."""
    found: dict[tuple[int, int], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for s in seen:
        off = math.log(s.seconds / law.seconds(s.devices, s.nodes, s.batch, s.micro))
        found[s.devices, s.nodes][math.log(s.batch)].append(off)
    return {
        place: (sorted(by), [float(np.mean(offs)) for _, offs in sorted(by.items())])
        for place, by in found.items()
    }


def _start(seen: Sequence[Step]) -> Law:
    """A guess from the medians."""
    each = [(step.seconds - step.wait) / step.micro for step in seen]
    batch = float(np.median([step.batch for step in seen]))
    compute = float(np.median(each))
    waits = {
        near: [s.wait or 0.1 * s.seconds for s in seen if s.devices > 1 and (s.nodes > 1) != near]
        for near in (True, False)
    }
    local = float(np.median(waits[True])) if waits[True] else 0.1 * compute
    remote = float(np.median(waits[False])) if waits[False] else 1.1 * local
    return Law(
        0.5 * compute, 0.5 * compute / batch, local, 0.1 * local, remote, 0.1 * remote, overlap=1.5
    )


def _free(seen: Sequence[Step]) -> list[str]:
    """Which constants these steps can tell."""
    near = [step for step in seen if step.devices > 1 and step.nodes == 1]
    far = [step for step in seen if step.nodes > 1]
    told = ["example"]
    told += ["base"] * (len({step.batch for step in seen}) > 1)
    told += ["local"] * bool(near) + ["remote"] * bool(far) + ["overlap"] * bool(near or far)
    told += ["local_more"] * (len({step.devices for step in near}) > 1)
    told += ["remote_more"] * (len({step.devices for step in far}) > 1)
    return told


def _law(start: Law, free: Sequence[str], x: NDArray[np.float64]) -> Law:
    """`start` with its free constants multiplied by e^x; of γ it is what exceeds 1."""
    made = dict(vars(start))
    for name, value in zip(free, x, strict=True):
        least = float(name == "overlap")
        made[name] = least + (made[name] - least) * math.exp(value)
    if "base" not in free:  # one batch size: base and example cannot be told apart
        made["base"] = start.base * made["example"] / start.example
    made["overlap"] = min(made["overlap"], STEEPEST)
    return Law(**made)


def _residuals(law: Law, seen: Sequence[Step]) -> NDArray[np.float64]:
    """Logarithms of predicted over measured; of the part that computes too, where it is known."""
    whole = [math.log(law.seconds(s.devices, s.nodes, s.batch, s.micro) / s.seconds) for s in seen]
    alone = [
        math.log(law.compute(s.batch) * s.micro / (s.seconds - s.wait))
        for s in seen
        if 0 < s.wait < s.seconds
    ]
    mild = [
        0.03 * (law.overlap - 1),
        0.1 * law.local_more / law.local,
        0.1 * law.remote_more / law.remote,
    ]
    return np.array([*whole, *alone, *mild])
