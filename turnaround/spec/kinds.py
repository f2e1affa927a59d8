"""The kinds of values that a knob may take, with their limits: `width: Count = 256`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BeforeValidator

Knob = bool | int | float | str | list[bool | int | float | str] | None
Count = Annotated[int, Gt(0), Lt(2**63)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Amount = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Le(1)]
Momentum = Annotated[float, Ge(0), Lt(1)]

URGENT = 1000  # the highest priority; the lowest is as far below 0
Priority = Annotated[int, Ge(-URGENT), Le(URGENT)]


def seconds(value: Any) -> Any:
    """Seconds of a text like 90s, 20m or 1h30m; anything else as it is, for the type to judge."""
    if isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?[dhms])+", value):
        parts = re.findall(r"([\d.]+)([dhms])", value)
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return value


_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
Seconds = Annotated[float, Gt(0), BeforeValidator(seconds)]
PARTS = (1.0, 0.5, 0.25, 0.125)  # of a device; powers of two, so that sums of them are exact


def part(value: Any) -> Any:
    """The number of a text like 1/4; anything else as it is."""
    if isinstance(value, str) and re.fullmatch(r"\d+/[1-9]\d*", value):
        above, below = value.split("/")
        return int(above) / int(below)
    return value


def _whole_or_part(value: float) -> float:
    if value not in PARTS:
        raise ValueError("should be 1, 1/2, 1/4 or 1/8")
    return value


Part = Annotated[float, BeforeValidator(part), AfterValidator(_whole_or_part)]
