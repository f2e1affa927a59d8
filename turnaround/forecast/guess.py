"""A positive number that is not known yet, and the interval that holds it four times in five.

    guess = Guess(middle=30.0, spread=0.2)
    guess.interval()                    # Interval(low=23.2, middle=30.0, high=38.8)
    guess.after(25.0)                   # what is left of it once 25 have passed

A guess is log-normal: `spread` is the standard deviation of its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TAIL = 0.1  # left out at each end of an 80 % interval
_FURTHEST = 5.0  # standard deviations; what has lasted longer is taken to have lasted so long
_TOGETHER = 0.8  # correlation of parts of one run: a busy machine slows all of them


@dataclass(frozen=True)
class Interval:
    """Where a number lies, four times in five, and its median."""

    low: float
    middle: float
    high: float

    def plus(self, more: Interval) -> Interval:
        """What one after the other takes, when they are late together."""
        return Interval(self.low + more.low, self.middle + more.middle, self.high + more.high)

    def guess(self) -> Guess:
        """A guess with about this interval."""
        if self.low <= 0:
            return Guess(self.middle, 1.0)
        return Guess(self.middle, math.log(self.high / self.low) / 2 / -quantile(TAIL))

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Guess:
    """A median, and how far off it may be."""

    middle: float
    spread: float

    def interval(self) -> Interval:
        """All of it."""
        return self.after(0.0)

    def after(self, passed: float) -> Interval:
        """What is left when `passed` has gone by and it is not over."""
        if self.middle <= 0:
            return Interval(0.0, 0.0, 0.0)
        if self.spread <= 0:
            rest = max(self.middle - passed, 0.0)
            return Interval(rest, rest, rest)
        over = self._share(passed)
        points = [over + (1 - over) * share for share in (TAIL, 0.5, 1 - TAIL)]
        low, middle, high = (self._at(point) - passed for point in points)
        return Interval(max(low, 0.0), max(middle, 0.0), max(high, 0.0))

    def times(self, count: float) -> Guess:
        """That many of it."""
        return Guess(self.middle * count, self.spread)

    def _share(self, value: float) -> float:
        """The probability that it is less."""
        if value <= 0:
            return 0.0
        return normal(min(math.log(value / self.middle) / self.spread, _FURTHEST))

    def _at(self, share: float) -> float:
        """The value that it is below with this probability."""
        return self.middle * math.exp(self.spread * quantile(share))


def total(parts: Sequence[Guess]) -> Guess:
    """The sum of the parts of one run (Fenton, 1960, with the medians added)."""
    middle = sum(part.middle for part in parts)
    if middle <= 0:
        return Guess(0.0, 0.0)
    off = [part.middle * part.spread for part in parts]
    alone = sum(one * one for one in off)
    variance = _TOGETHER * sum(off) ** 2 + (1 - _TOGETHER) * alone
    return Guess(middle, math.sqrt(variance) / middle)


def both(one: Guess, other: Guess) -> Guess:
    """What two independent guesses of the same number come to."""
    if min(one.spread, other.spread) <= 0:
        return one if one.spread <= other.spread else other
    a, b = one.spread**-2, other.spread**-2
    middle = math.exp((a * math.log(one.middle) + b * math.log(other.middle)) / (a + b))
    return Guess(middle, (a + b) ** -0.5)


def normal(z: float) -> float:
    """The share of a normal distribution below `z` standard deviations."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def quantile(share: float) -> float:
    """The inverse of `normal`, by halving: 40 µs, and importing `statistics` costs 10 ms."""
    low, high = -9.0, 9.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if normal(middle) < share else (low, middle)
    return (low + high) / 2
