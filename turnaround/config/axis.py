"""One setting of which a sweep tries several values; plain data, which crosses to its driver."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Axis:
    """One setting that takes several values: those listed, or any from `low` to `high`."""

    key: str
    values: list[Any] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0
    log: bool = False  # as likely between 0.001 and 0.01 as between 0.01 and 0.1
    integer: bool = False

    @property
    def listed(self) -> bool:
        """Its values are named."""
        return bool(self.values)

    @property
    def count(self) -> float:
        """How many values it has; infinite where they need not be whole numbers."""
        if self.listed:
            return len(self.values)
        return int(self.high) - int(self.low) + 1 if self.integer else math.inf

    def at(self, place: int) -> Any:
        """The value of that place; only where they can be counted."""
        return self.values[place] if self.listed else int(self.low) + place
