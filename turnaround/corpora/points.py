"""Problems of points: drawn or from a file, their right answers, and how good other answers are.

problem = drawn(key=7, number=0, fewest=5, most=10)
tsp = TASKS["tsp"]
(tour,) = tsp.answers([problem])            # point numbers from 0: exact, and in one order only
tsp.judge([problem], [tour], [tour])        # {"exact": (1, 1), …}: sums and counts
tsp.told(problem, tour)                     # "2.1: 1 4 2 3 5"
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import QhullError

from turnaround.corpora import planar, tsplib
from turnaround.corpora.planar import Numbers, Reals
from turnaround.errors import DataError

FEWEST = 3  # points
Sums = dict[str, tuple[float, float]]  # of each score, a sum and a count


class Problem(NamedTuple):
    """Some points, and how far apart their source says that they are, if it says so."""

    points: Reals  # (n, 2), in the unit square
    measured: Reals | None = None  # (n, n)
    file: Path | None = None

    @property
    def far(self) -> Reals:
        """Between all pairs: (n, n)."""
        return planar.distances(self.points) if self.measured is None else self.measured


def drawn(key: int, number: int, fewest: int, most: int) -> Problem:
    """The problem of that number: so many points, evenly from the unit square."""
    rng = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))
    return Problem(rng.random((int(rng.integers(fewest, most + 1)), 2)))


def from_file(file: Path) -> Problem:
    """A TSPLIB problem: its points moved into the unit square, its own distances."""
    read = tsplib.read(file)
    if len(read.points) < FEWEST:
        found = f"{file}: expected three points or more, found {len(read.points)}"
        raise DataError(found, "give a problem of more points")
    numbers = range(len(read.points))
    measured = np.array([[float(read.distance(i, j)) for j in numbers] for i in numbers])
    return Problem(_squared(np.array(read.points)), measured, file)


def typed(line: str) -> Problem:
    """The name of a TSPLIB file, or points: 0.1,0.2 0.3,0.9 0.8,0.4."""
    if line.strip().endswith(".tsp"):
        return from_file(Path(line.strip()))
    try:
        points = np.array([[float(number) for number in pair.split(",")] for pair in line.split()])
    except ValueError:
        points = np.empty(0)
    whole = points.ndim == 2 and points.shape[1] == 2 and len(points) >= FEWEST
    if not whole or not np.isfinite(points).all():
        raise DataError(
            f"expected three points or more, found {line.strip()[:40]!r}",
            "write x,y x,y x,y or the name of a .tsp file",
        )
    return Problem(_squared(points), planar.distances(points))


def _squared(points: Reals) -> Reals:
    """Into the unit square, as large as they fit."""
    low, high = points.min(0), points.max(0)
    square: Reals = (points - low) / max(float((high - low).max()), 1e-12)
    return square


class Tours:
    """The shortest round trip."""

    def answers(self, problems: list[Problem]) -> list[Numbers]:
        """Of each: (n,). Of more than 14 points a good one; all of one size are found at once."""
        return planar.tours([problem.far for problem in problems])

    def judge(self, problems: list[Problem], guesses: list[Numbers], truths: list[Numbers]) -> Sums:
        """As short; lengths to the shortest; lengths."""
        far = [problem.far for problem in problems]
        mine, best = (list(map(planar.length, far, tours)) for tours in (guesses, truths))
        same = sum(one <= other + 1e-9 for one, other in zip(mine, best, strict=True))
        count, total = len(problems), sum(mine)
        return {"exact": (same, count), "ratio": (total, sum(best)), "length": (total, count)}

    def told(self, problem: Problem, answer: Numbers) -> str:
        """Its length and its points."""
        return f"{planar.length(problem.far, answer):.6g}: {_counted(answer)}"


class Hulls:
    """The convex hull."""

    def answers(self, problems: list[Problem]) -> list[Numbers]:
        """Of each: (corners,)."""
        return [_spread(planar.hull, problem) for problem in problems]

    def judge(self, problems: list[Problem], guesses: list[Numbers], truths: list[Numbers]) -> Sums:
        """The same polygon; its share of the right area; those that cross and have no area."""
        same = sum(map(np.array_equal, guesses, truths))
        corners = [problem.points for problem in problems]
        shapes = [(p[g], p[t]) for p, g, t in zip(corners, guesses, truths, strict=True)]
        areas = [
            planar.area(one) / planar.area(other) for one, other in shapes if planar.simple(one)
        ]
        count, found = len(problems), len(areas)
        shares = (sum(areas), found)
        return {"exact": (same, count), "area": shares, "invalid": (count - found, count)}

    def told(self, problem: Problem, answer: Numbers) -> str:
        """Its corners."""
        return _counted(answer)


class Triangulations:
    """The Delaunay triangulation."""

    def answers(self, problems: list[Problem]) -> list[Numbers]:
        """Of each, three numbers for every triangle: (3 triangles,)."""
        return [_spread(planar.triangles, problem).ravel() for problem in problems]

    def judge(self, problems: list[Problem], guesses: list[Numbers], truths: list[Numbers]) -> Sums:
        """The same set of triangles; the share of the right ones that are there."""
        sets = [(_threes(one), _threes(other)) for one, other in zip(guesses, truths, strict=True)]
        same = sum(one == other for one, other in sets)
        found, right = sum(len(one & other) for one, other in sets), sum(len(t) for _, t in sets)
        return {"exact": (same, len(sets)), "triangles": (found, right)}

    def told(self, problem: Problem, answer: Numbers) -> str:
        """Its triangles."""
        return " ".join("-".join(map(str, row + 1)) for row in answer.reshape(-1, 3))


TASKS: dict[str, Tours | Hulls | Triangulations] = {
    "tsp": Tours(),
    "hull": Hulls(),
    "delaunay": Triangulations(),
}


def _spread(found: Callable[[Reals], Numbers], problem: Problem) -> Numbers:
    """What is found of its points, which must not be on one line."""
    try:
        return found(problem.points)
    except QhullError:
        where = f"{problem.file}: " if problem.file else ""
        raise DataError(
            f"{where}the {len(problem.points)} points lie on one line",
            "a hull and its triangles need three that do not",
        ) from None


def _threes(answer: Numbers) -> set[tuple[int, ...]]:
    return {tuple(row) for row in answer.reshape(-1, 3).tolist()}


def _counted(answer: Numbers) -> str:
    return " ".join(map(str, answer + 1))
