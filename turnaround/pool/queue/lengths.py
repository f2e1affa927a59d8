"""How long runs should take, as far as the journal can tell: for whoever decides on many of them.

    lengths = Lengths(journal, time.time)
    lengths.of(run)                     # Interval(low=28, middle=34, high=45), of seconds; or none

Runs that ask for the same take as long, so a sweep of a thousand trials asks the journal once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from turnaround.cost import Past
from turnaround.forecast.eta import Forecast
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal, Run

_KEPT = 60.0  # seconds for which an answer holds
_MOST = 1000  # answers that are kept


class Lengths:
    """From the start of a run to its end."""

    def __init__(self, journal: Journal, clock: Callable[[], float]) -> None:
        self._journal = journal
        self.now = clock
        self._since = clock()
        self._found: dict[str, Interval | None] = {}
        self._past: dict[str, list[Past]] = {}

    def of(self, run: Run) -> Interval | None:
        """Seconds; none when nobody knows."""
        if self.now() - self._since > _KEPT or len(self._found) > _MOST:
            self._since = self.now()
            self._found.clear()
            self._past.clear()
        key = json.dumps([run.recipe, run.asked], sort_keys=True)
        if key not in self._found:
            self._found[key] = self._told(run)
        return self._found[key]

    def _told(self, run: Run) -> Interval | None:
        whole = Forecast(run.asked, lambda: self._history(run.recipe), self._since).whole()
        return whole.interval() if whole else None

    def _history(self, recipe: str) -> Sequence[Past]:
        if recipe not in self._past:
            self._past[recipe] = self._journal.history(recipe)
        return self._past[recipe]
