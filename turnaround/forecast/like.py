"""What something costs with these knobs, from what it cost with others.

    known = [Known({"width": 64}, 0.011, age=60.0), Known({"width": 128}, 0.024, age=90.0)]
    like(known, {"width": 256})         # Guess(middle=0.044, spread=0.4)

A regression of the logarithm on the logarithms of the knobs, by generalised least squares: a flat
prior on the cost of what is asked, a prior on the effect of each knob, and errors that grow with
the distance, so that runs of other settings count less. The noise is what equal runs differ by;
half of it is the machine's and shared with the runs of the last minutes.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from turnaround.forecast.guess import Guess

NEAREST = 20  # runs that count: half a millisecond of arithmetic
SLOPE = 0.7  # how a cost goes with a number: e-folds per e-fold, a standard deviation
OTHER = 0.4  # how another word (an optimizer, a layout) changes it, in e-folds
MISFIT = 0.1  # e-folds of error per unit of distance, beyond what slopes explain
NOISE = 0.08  # e-folds that equal runs differ by, before there are any
SURE = 2.0  # equal runs that this prior is worth
LEEWAY = 1.15  # machines change for reasons that no run before has shown
LASTS = 0.4  # of the noise: the machine's, which lasts a while and is common to all runs,
SPELL = 300.0  # so many seconds; the rest is each run's own
_Gap = dict[Hashable, float]


@dataclass(frozen=True)
class Known:
    """What something cost once."""

    knobs: Mapping[str, Any]
    cost: float  # above 0
    age: float  # seconds


def like(known: Sequence[Known], asked: Mapping[str, Any]) -> Guess | None:
    """The cost of what is asked, now (universal kriging of its logarithm)."""
    near = sorted(((gap(one.knobs, asked), one) for one in known), key=lambda pair: far(pair[0]))
    if not near:
        return None
    noise, sure = _noise(near)
    gaps = [found for found, _ in near[:NEAREST]]
    logs = [math.log(one.cost) for _, one in near[:NEAREST]]
    ages = [one.age for _, one in near[:NEAREST]]
    now = [LASTS * noise * math.exp(-max(age, 0.0) / SPELL) for age in ages]
    ones, sums, lasts = _solve(_covariance(gaps, ages, noise), [1.0] * len(logs), logs, now)
    weight = sum(ones)
    mean = sum(sums) / weight
    log = mean + sum(c * (log - mean) for c, log in zip(lasts, logs, strict=True))
    told = sum(a * b for a, b in zip(now, lasts, strict=True))
    variance = noise - told + (1 - sum(lasts)) ** 2 / weight
    misses = sum(one * log for one, log in zip(sums, logs, strict=True)) - sum(sums) * mean
    scale = max((SURE + misses) / (SURE + len(logs) - 1), 1.0)  # more than the model explains
    return Guess(math.exp(log), math.sqrt(variance * scale) * _wider(sure))


def gap(one: Mapping[str, Any], other: Mapping[str, Any]) -> _Gap:
    """How two sets of knobs differ: e-folds of each number, 1 for each other word."""
    found: _Gap = {}
    for name in one.keys() | other.keys():
        a, b = one.get(name), other.get(name)
        if a == b and isinstance(a, bool) == isinstance(b, bool):
            continue
        if _counts(a) and _counts(b):
            found[name] = math.log(a) - math.log(b)  # a / b may be no float
        else:
            found[name, str(a)] = 1.0
    return found


def far(found: _Gap) -> float:
    """How far apart two sets of knobs are; 0 when they are equal."""
    return math.sqrt(sum(value * value for value in found.values()))


def _counts(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _noise(known: Sequence[tuple[_Gap, Known]]) -> tuple[float, float]:
    """The variance among equal runs, and how many runs that is known by."""
    groups: dict[frozenset[tuple[Hashable, float]], list[float]] = {}
    for found, one in known:
        groups.setdefault(frozenset(found.items()), []).append(math.log(one.cost))
    squares, sure = SURE * NOISE**2, SURE
    for group in groups.values():
        mean = sum(group) / len(group)
        squares += sum((log - mean) ** 2 for log in group)
        sure += len(group) - 1
    return squares / sure, sure


def _covariance(gaps: Sequence[_Gap], ages: Sequence[float], noise: float) -> list[list[float]]:
    """Of the errors that these runs make as a measure of what is asked."""
    whens = list(zip(gaps, ages, strict=True))
    rows = [
        [_shared(a, b) + LASTS * noise * math.exp(-abs(s - t) / SPELL) for b, t in whens]
        for a, s in whens
    ]
    for place, found in enumerate(gaps):
        rows[place][place] += (1 - LASTS) * noise + (MISFIT * far(found)) ** 2
    return rows


def _shared(one: _Gap, other: _Gap) -> float:
    """What an unknown effect of each knob does to both."""
    effect = 0.0
    for name in one.keys() & other.keys():
        scale = OTHER if isinstance(name, tuple) else SLOPE
        effect += scale * scale * one[name] * other[name]
    return effect


def _wider(sure: float) -> float:
    """Student's t against the normal at 80 %: noise known by few runs may be more."""
    return LEEWAY * (1 + 0.67 / sure)  # 1.2816 → 1.533 at 4 degrees of freedom, 1.397 at 8


def _solve(matrix: list[list[float]], *sides: Sequence[float]) -> list[list[float]]:
    """A solution for each right side, by Gauss; the matrix is positive definite."""
    size = len(matrix)
    rows = [[*row, *(side[at] for side in sides)] for at, row in enumerate(matrix)]
    for at in range(size):
        pivot = rows[at][at:]
        for row in rows[at + 1 :]:
            if factor := row[at] / pivot[0]:
                row[at:] = [v - factor * p for v, p in zip(row[at:], pivot, strict=True)]
    return [_back(rows, size, size + side) for side in range(len(sides))]


def _back(rows: list[list[float]], size: int, side: int) -> list[float]:
    found = [0.0] * size
    for at in reversed(range(size)):
        rest = sum(rows[at][k] * found[k] for k in range(at + 1, size))
        found[at] = (rows[at][side] - rest) / rows[at][at]
    return found
