"""How sure a median is."""

from __future__ import annotations

import random
import statistics


def interval(values: list[float], rounds: int = 2000) -> tuple[float, float]:
    """95 % of the median, by the bootstrap."""
    drawn = random.Random(0)
    medians = sorted(statistics.median(drawn.choices(values, k=len(values))) for _ in range(rounds))
    return medians[int(0.025 * rounds)], medians[int(0.975 * rounds)]
