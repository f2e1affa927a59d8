"""Times, sizes, numbers and paths as people read them."""

from __future__ import annotations

from pathlib import Path

MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """`0.4s`, `45s`, `2m31s`, `1h02m`, `3d04h`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f}s"
    whole = round(seconds)
    for unit, smaller, names in ((DAY, HOUR, "dh"), (HOUR, MINUTE, "hm"), (MINUTE, 1, "ms")):
        if whole >= unit:
            return f"{whole // unit}{names[0]}{whole % unit // smaller:02d}{names[1]}"
    return f"{whole}s"


def interval(low: float, high: float) -> str:
    """`28–45s`, `0.8–1.2s`, `55s–1m20s`."""
    ends = duration(low), duration(high)
    if round(low) < MINUTE and round(high) < MINUTE:  # as they are shown
        return f"{ends[0][:-1]}–{ends[1]}"
    return ends[0] if ends[0] == ends[1] else f"{ends[0]}–{ends[1]}"


def age(seconds: float) -> str:
    """How long ago, in one unit: `now`, `12s`, `5m`, `3h`, `8d`."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s")):
        if seconds >= unit:
            return f"{int(seconds // unit)}{name}"
    return "now"


def ago(seconds: float) -> str:
    """`just now`, `5m ago`."""
    return f"{age(seconds)} ago" if seconds >= 1 else "just now"


def number(value: float) -> str:
    """Four significant digits, thousands in groups."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def size(count: float) -> str:
    """`12 B`, `3.4 MB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def scores(values: dict[str, float]) -> str:
    """`loss 1.234  bleu 63.1`."""
    return "  ".join(f"{name} {number(value)}" for name, value in values.items())


def counted(count: int, thing: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def short(path: Path) -> str:
    """The path, with `~` for the home folder."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)
