"""Pictures of a sweep as SVG, drawn without a library: they open in any browser and weigh 20 kB.

curves({"7": [(100, 1.2), (200, 0.9)]}, strong={"7"}, title="valid/loss")
scatter([(0.001, 1.2, True)], title="optim.lr", log=True)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDE, HIGH = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 30, 38
GREY, BLUE, RED = "#9aa5b1", "#1565c0", "#c62828"
MOST = 200  # curves in a picture

Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Numbers onto pixels."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        share = (self._of(value) - low) / (high - low) if high > low else 0.5
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """A few round numbers; powers of ten where it is logarithmic."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            powers = [10.0**n for n in range(first, last + 1)]
            return powers[:: max(1, len(powers) // 5)] or [self.low, self.high]
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span / 3))
        step *= next(times for times in (1, 2, 5, 10) if span / (step * times) <= 5)
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step) + 1)]

    def _of(self, value: float) -> float:
        return math.log(value) if self.log else value


def curves(lines: Mapping[str, Sequence[Point]], strong: set[str], title: str) -> str:
    """A line for each trial over its steps, those in `strong` last and in colour."""
    shown = {name: _finite(points) for name, points in list(lines.items())[:MOST]}
    every = [point for points in shown.values() for point in points]
    across, up = _scales(every)
    order = sorted(shown, key=lambda name: name in strong)
    drawn = [_path(shown[name], across, up, name, name in strong) for name in order if shown[name]]
    return _svg(title, "step", across, up, drawn)


def scatter(points: Sequence[tuple[float, float, bool]], title: str, score: str, log: bool) -> str:
    """A dot for each trial: setting, score, whether it was trained to the end."""
    finite = [point for point in points if math.isfinite(point[1])]
    log = log and bool(finite) and all(x > 0 for x, _, _ in finite)
    across, up = _scales([(x, y) for x, y, _ in finite], log)
    dots = [
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3.5" fill="{BLUE if whole else GREY}" '
        f'fill-opacity="0.75"><title>{x:.4g}: {score} {y:.4g}</title></circle>'
        for x, y, whole in finite
    ]
    return _svg(score, title, across, up, dots)


def progress(points: Sequence[tuple[float, float, float]], title: str) -> str:
    """Scores in the order in which they came, and the best so far as a stair."""
    finite = [point for point in points if math.isfinite(point[1])]
    across, up = _scales([(x, y) for x, y, _ in finite])
    dots = [
        f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{GREY}"/>' for x, y, _ in finite
    ]
    stair: list[Point] = []
    for x, _, best in finite:
        stair += [(x, stair[-1][1])] if stair else []
        stair.append((x, best))
    drawn = [*dots, _path(stair, across, up, "best so far", True)] if stair else dots
    return _svg(title, "trials that have ended", across, up, drawn)


def _finite(points: Iterable[Point]) -> list[Point]:
    return [(x, y) for x, y in points if math.isfinite(y)]


def _scales(points: Sequence[Point], log: bool = False) -> tuple[Scale, Scale]:
    xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    pad = 0.05 * (max(ys) - min(ys)) or 0.05 * abs(max(ys)) or 1.0
    return (
        Scale(min(xs), max(xs), LEFT, WIDE - RIGHT, log),
        Scale(min(ys) - pad, max(ys) + pad, HIGH - BOTTOM, TOP),
    )


def _path(points: Sequence[Point], across: Scale, up: Scale, name: str, strong: bool) -> str:
    places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    colour, width = (RED, 2.2) if strong else (GREY, 1.0)
    mark = ""
    if len(points) == 1:
        mark = f'<circle cx="{places.split(",")[0]}" cy="{places.split(",")[1]}" r="2.5"/>'
    return (
        f'<g fill="{colour}" stroke="{colour}"><title>{escape(name)}</title>{mark}'
        f'<polyline points="{places}" fill="none" stroke-width="{width}"/></g>'
    )


def _svg(title: str, below: str, across: Scale, up: Scale, drawn: Iterable[str]) -> str:
    """The frame: axes, ticks, words."""
    base, side = HIGH - BOTTOM, WIDE - RIGHT
    grid = [
        f'<line x1="{LEFT}" x2="{side}" y1="{up(y):.1f}" y2="{up(y):.1f}" stroke="#e3e8ee"/>'
        f'<text x="{LEFT - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{y:.4g}</text>'
        for y in up.ticks()
    ]
    feet = [
        f'<text x="{across(x):.1f}" y="{base + 16}" text-anchor="middle">{x:.4g}</text>'
        for x in across.ticks()
    ]
    frame = f'<path d="M{LEFT},{TOP} V{base} H{side}" fill="none" stroke="#52606d"/>'
    words = (
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>'
        f'<text x="{(LEFT + side) / 2:.0f}" y="{HIGH - 6}" text-anchor="middle">'
        f"{escape(below)}</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" '
        f'height="{HIGH}" font-family="sans-serif" font-size="11" fill="#323f4b">'
        f"{''.join([*grid, *feet, frame, words, *drawn])}</svg>"
    )
