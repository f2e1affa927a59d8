"""Whether a run that shares its device would be done sooner if they took turns.

    crowding = Crowding(plan.cluster.share, plan.alone)
    crowding.hear(line)                 # each line of its events
    crowding.slow                       # for five seconds now

In turns each run would have the whole device for its share of the time. What a probe found may not
last: other settings, a larger batch, another neighbour. A machine that is slow for other reasons
looks the same; then runs go on alone that might have shared, which costs little.
"""

from __future__ import annotations

import json
import statistics
from collections import deque

LOOKS = 10  # progress events, one each half second or step, of which half must be slow
WORSE = 0.9  # times what it would have in turns
REST = 20.0  # seconds after one has gone before another has to


class Crowding:
    """What a run makes of its part of a device."""

    def __init__(self, share: float | None, alone: float | None) -> None:
        self._least = WORSE * (share or 1) * alone if share and alone else 0.0
        self._rates: deque[float] = deque(maxlen=LOOKS)

    @property
    def slow(self) -> bool:
        """Less than in turns."""
        whole = len(self._rates) == LOOKS
        return whole and statistics.median(self._rates) < self._least

    def hear(self, line: bytes) -> None:
        """A line of the run's events."""
        if self._least and b'"kind": "progress"' in line:
            self._rates.append(json.loads(line)["data"]["rate"])
