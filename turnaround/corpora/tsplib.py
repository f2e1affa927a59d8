"""Travelling-salesman problems in TSPLIB's format (Reinelt, 1991): points and their distances.

    problem = read(Path("eil51.tsp"))
    problem.points          # [(37.0, 52.0), …]
    problem.distance(0, 1)  # 12: TSPLIB rounds

Read are points in the plane (EUC_2D) and on the globe (GEO: latitude and longitude, in degrees and
minutes). What is wrong is told with its file and line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from turnaround.corpora import text
from turnaround.errors import DataError

EARTH = 6378.388  # km, and pi to five places: TSPLIB's own, or lengths differ
PI = 3.141592
Point = tuple[float, float]


@dataclass(frozen=True)
class Problem:
    """One file."""

    name: str
    points: list[Point]
    globe: bool  # GEO, not EUC_2D

    def distance(self, one: int, other: int) -> int:
        """Between two points, by their places in the file."""
        a, b = self.points[one], self.points[other]
        return _on_globe(a, b) if self.globe else int(math.dist(a, b) + 0.5)


def _on_globe(a: Point, b: Point) -> int:
    """Kilometres."""
    if a == b:
        return 0
    (north, east), (north2, east2) = (map(_radians, point) for point in (a, b))
    around = math.cos(east - east2)
    tilt, turn = math.cos(north - north2), math.cos(north + north2)
    return int(EARTH * math.acos(0.5 * ((1 + around) * tilt - (1 - around) * turn)) + 1.0)


def _radians(angle: float) -> float:
    """Of 16.47, which is 16 degrees and 47 minutes."""
    degrees = int(angle)
    return PI * (degrees + 5 * (angle - degrees) / 3) / 180


def read(path: Path) -> Problem:
    """The problem in a file."""
    lines = enumerate(text.read(path).splitlines(), 1)
    head = _head(path, lines)
    kind = head.get("EDGE_WEIGHT_TYPE", "nothing")
    if kind not in ("EUC_2D", "GEO"):
        raise DataError(
            f"{path}: EDGE_WEIGHT_TYPE is {kind}", "EUC_2D and GEO can be read: give one of those"
        )
    points = list(_points(path, lines))
    told = head.get("DIMENSION", str(len(points)))
    if str(len(points)) != told:
        raise DataError(
            f"{path}: DIMENSION is {told}, but there are {len(points)} points",
            "see that the file is whole",
        )
    return Problem(head.get("NAME", path.stem), points, globe=kind == "GEO")


def _head(path: Path, lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    """What is said before the points."""
    head: dict[str, str] = {}
    for number, line in lines:
        if line.strip().removesuffix(":").rstrip() == "NODE_COORD_SECTION":
            return head
        key, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise DataError(
                f"{path}, line {number}: expected KEY: value, found {line.strip()[:40]!r}",
                "a TSPLIB file says NODE_COORD_SECTION before its points",
            )
        head[key.strip()] = value.strip()
    raise DataError(f"{path} has no NODE_COORD_SECTION", "give a TSPLIB file with coordinates")


def _points(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Point]:
    """One line each: a number that counts from 1, x, y."""
    expected = 1
    for number, line in lines:
        if line.strip() == "EOF":
            return
        if not line.strip():
            continue
        try:
            name, x, y = line.split()
            point = float(x), float(y)
            whole = int(name) == expected and all(map(math.isfinite, point))
        except ValueError:
            whole = False
        if not whole:
            raise DataError(
                f"{path}, line {number}: expected point {expected} and its two coordinates, "
                f"found {line.strip()[:40]!r}",
                "one point a line, numbered from 1: 1 37 52",
            )
        expected += 1
        yield point
