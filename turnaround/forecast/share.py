"""The noise scale that counts for all of a way: that of the mean share of noise in its steps.

    heard = Heard(batch=32, every=20)
    heard.add(step=40, trace=12.0, square=0.6)   # means so far, as `noise/trace` and `noise/square`
    heard.scale(until=400)                       # an interval of 90 %, or none

What a step at batch B is worth is 1 / (1 + 𝓑/B) of one with an endless batch (McCandlish et al.,
2018, eq. 2.7), and 𝓑 is not the same all the way. Another batch B′ takes, for what one step at B
did, 1 − f·(1 − B/B′) steps, f = 𝓑 / (B + 𝓑) being the share of E|g|² that is noise. That is linear
in f, so its mean over the steps says what the whole way takes, and it has E|g|² below the line,
which unlike |G|² is never near zero. The ratio of the means of tr Σ and |G|² over a whole run, on
the other hand, is that of its first steps, whose gradients are the largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from turnaround.forecast.guess import Interval

MEMORY = 1000.0  # measurements that the engine remembers
FEWEST = 3  # stretches that say how sure their mean is
ERRORS = 1.645  # standard errors on either side: 90 %
LEAST, MOST = 0.01, 0.98  # of a share that is a ratio of what was measured


@dataclass(frozen=True)
class Stretch:
    """Steps between two words about the noise."""

    end: int  # the last of them
    steps: int
    share: float  # of E|g|² at this batch that is noise; may be below 0 or above 1 by chance


@dataclass
class Heard:
    """Folded means; `every` is the number of steps from one measurement to the next."""

    batch: int
    every: int
    stretches: list[Stretch] = field(default_factory=list)
    _sums: tuple[float, float] = (0.0, 0.0)
    _count: int = 0

    def add(self, step: int, trace: float, square: float) -> None:
        """What is new since the last word."""
        count = step // self.every  # the first is that of step `every`
        if count <= self._count:
            return  # a later attempt says it again
        weight = min(count, MEMORY)
        sums = (weight * trace, weight * square)
        kept = (1 - 1 / MEMORY) ** max(count - max(self._count, MEMORY), 0)
        new, more = (now - kept * old for now, old in zip(sums, self._sums, strict=True))
        steps = (count - self._count) * self.every
        if (whole := more + new / self.batch) > 0:
            self.stretches.append(Stretch(step, steps, new / self.batch / whole))
            self._sums, self._count = sums, count

    def scale(self, until: float = math.inf) -> Interval | None:
        """The one 𝓑 for the way up to that step; none where too little was heard."""
        known = [one for one in self.stretches if one.end <= until]
        if len(known) < FEWEST:
            return None
        whole = sum(one.steps for one in known)
        share = sum(one.steps * one.share for one in known) / whole
        off = ERRORS * math.sqrt(_variance(known)) / whole
        return Interval(*(self._scale(s) for s in (share - off, share, share + off)))

    def _scale(self, share: float) -> float:
        share = min(max(share, LEAST), MOST)
        return self.batch * share / (1 - share)


def _variance(known: list[Stretch]) -> float:
    """Of Σ steps·share, by how neighbours differ: shares rise on the way, but slowly."""
    pairs = [(one.steps, other.steps, other.share - one.share) for one, other in pairwise(known)]
    squares = sum(off * off / (1 / one + 1 / other) for one, other, off in pairs) / len(pairs)
    return squares * sum(one.steps for one in known)
