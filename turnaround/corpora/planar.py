"""Points in the plane and what is exactly true of them: shortest tours, hulls, triangulations.

    shortest(distances)          # of each row (n, n): the shortest round trip, up to 14 points
    improved(distances)          # of one (n, n): a good round trip, for more points than that
    hull(points)                 # the corners of the convex hull of (n, 2)
    triangles(points)            # its Delaunay triangles

Each answer comes in one order only, so that it can be learnt: a tour starts at point 0 and goes to
the lower of its two neighbours first, a hull starts at its lowest number and is counter-clockwise,
triangles are sorted by their incentres and their corners by number (Vinyals, Fortunato & Jaitly,
2015, section 4).
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, Delaunay

EXACT = 14  # points of a tour: 295,000 sums each; a batch of 128 takes a second at 14, 6 ms at 10
Numbers = NDArray[np.int64]
Reals = NDArray[np.float64]


def distances(points: Reals) -> Reals:
    """Between all pairs of (…, n, 2): (…, n, n)."""
    between = points[..., :, None, :] - points[..., None, :, :]
    apart: Reals = np.sqrt((between**2).sum(-1))
    return apart


# ── tours ──


def tours(far: list[Reals]) -> list[Numbers]:
    """For each (n, n), of any n, the shortest tour, or of more than EXACT points a good one."""
    found = [improved(one) if len(one) > EXACT else None for one in far]
    for n in {len(one) for one in far if len(one) <= EXACT}:
        alike = [i for i, one in enumerate(far) if len(one) == n]
        for i, tour in zip(alike, shortest(np.stack([far[i] for i in alike])), strict=True):
            found[i] = tour
    return [tour for tour in found if tour is not None]


def shortest(far: Reals) -> Numbers:
    """The shortest tour for each of (batch, n, n), exactly (Held & Karp, 1962): (batch, n).

    The cheapest way through a set of points to one of them, from that through the set without it;
    for all sets of a size at once, the batch innermost.
    """
    batch, n = far.shape[:2]
    if n < 4:
        return np.tile(np.arange(n), (batch, 1))
    between = np.ascontiguousarray(far.transpose(1, 2, 0))  # (n, n, batch)
    cost, steps = between[0, 1:], []
    for layer in _layers(n):
        ways = cost[layer.before] + between[layer.last, layer.point[:, None]]
        steps.append(ways.argmin(1))
        cost = ways.min(1)
    rows, tours = np.arange(batch), np.zeros((batch, n), np.int64)
    state = (cost + between[1:, 0]).argmin(0)  # the states of the last layer are its last points
    for place, layer, step in zip(range(n - 1, 1, -1), _layers(n)[::-1], steps[::-1], strict=True):
        tours[:, place] = layer.point[state]
        state = layer.before[state, step[state, rows]]
    tours[:, 1] = state + 1
    return canonical(tours)


class _Layer(NamedTuple):
    """All ways to have gone through some set of a size to one of its points."""

    point: Numbers  # (states,): where one is
    last: Numbers  # (states, size - 1): where one may have been before
    before: Numbers  # the same: the states of the layer below


@functools.cache
def _layers(n: int) -> list[_Layer]:
    """The sets of 2, 3, … n - 1 of the points but 0."""
    others, layers = range(1, n), []
    below: dict[tuple[tuple[int, ...], int], int] = {
        ((point,), point): i for i, point in enumerate(others)
    }
    for size in range(2, n):
        states = [(s, point) for s in itertools.combinations(others, size) for point in s]
        last = [[p for p in s if p != point] for s, point in states]
        sets = (tuple(rest) for rest in last)
        before = [[below[rest, p] for p in rest] for rest in sets]
        points = [point for _, point in states]
        layers.append(_Layer(np.array(points), np.array(last), np.array(before)))
        below = {state: i for i, state in enumerate(states)}
    return layers


def improved(far: Reals) -> Numbers:
    """The best tour of (n, n) that 2-opt makes of the nearest-neighbour tours: (n,)."""
    tours = [_uncrossed(far, nearest(far, start)) for start in range(len(far))]
    best = min(tours, key=lambda tour: length(far, tour))
    found: Numbers = canonical(np.roll(best, -int(best.argmin()))[None])[0]
    return found


def nearest(far: Reals, start: int = 0) -> Numbers:
    """Always on to the nearest point not yet seen."""
    tour, left = [start], np.ones(len(far), bool)
    while left[tour[-1]] and len(tour) < len(far):
        left[tour[-1]] = False
        tour.append(int(np.where(left, far[tour[-1]], np.inf).argmin()))
    return np.array(tour)


def _uncrossed(far: Reals, tour: Numbers) -> Numbers:
    """With the two legs exchanged that gain most, again and again until none gains."""
    while True:
        here, there = tour, np.roll(tour, -1)
        legs = far[here, there]
        change = far[np.ix_(here, here)] + far[np.ix_(there, there)] - legs[:, None] - legs
        change = np.triu(change, 1)  # of each two legs once
        first, second = np.unravel_index(change.argmin(), change.shape)
        if change[first, second] > -1e-9:
            return tour
        middle = tour[first + 1 : second + 1][::-1]
        tour = np.concatenate([tour[: first + 1], middle, tour[second + 1 :]])


def canonical(tours: Numbers) -> Numbers:
    """Tours (batch, n) that start at 0, turned so that the lower of its neighbours is second."""
    turned = np.concatenate([tours[:, :1], tours[:, :0:-1]], 1)
    return np.where(tours[:, 1:2] > tours[:, -1:], turned, tours)


def length(far: Reals, tour: Any) -> float:
    """Of the way round."""
    return float(far[tour, np.roll(tour, -1)].sum())


# ── hulls ──


def hull(points: Reals) -> Numbers:
    """The corners' numbers: (corners,)."""
    corners = ConvexHull(points).vertices.astype(np.int64)  # counter-clockwise
    return np.roll(corners, -int(corners.argmin()))


def area(polygon: Reals) -> float:
    """Of (corners, 2), whichever way round."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def simple(polygon: Reals) -> bool:
    """No two sides of (corners, 2) cross."""
    sides = list(zip(polygon, np.roll(polygon, -1, 0), strict=True))
    return len(polygon) > 2 and not any(
        _cross(*one, *other) for one, other in itertools.combinations(sides, 2)
    )


def _cross(a: Reals, b: Reals, c: Reals, d: Reals) -> bool:
    """The inner parts of two segments meet; neighbours, which share an end, do not."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Reals, b: Reals, c: Reals) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


# ── triangulations ──


def triangles(points: Reals) -> Numbers:
    """The corners' numbers: (triangles, 3)."""
    corners = np.sort(Delaunay(points).simplices.astype(np.int64), 1)
    x, y = _incentres(points[corners]).T
    return corners[np.lexsort((y, x))]


def _incentres(corners: Reals) -> Reals:
    """Of (triangles, 3, 2): corners weighed by the sides opposite."""
    opposite = np.roll(corners, -1, 1) - np.roll(corners, 1, 1)
    weights = np.sqrt((opposite**2).sum(2, keepdims=True))
    centres: Reals = (corners * weights).sum(1) / weights.sum(1)
    return centres
