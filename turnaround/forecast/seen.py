"""How far a run is and how fast it went, from its events.

    seen = Seen()
    for event in journal.events(run.id):
        seen.add(event)
    seen.step, seen.at, seen.pace()

The end of a long event file will do: what matters was said more than once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from turnaround.cost import split
from turnaround.spec import Event

MOST = 32  # stretches that are kept; when there are more, neighbours are merged
SHORTEST = 0.05  # seconds of a stretch that says something
# The mean pace of T seconds is off by T to the power of this, not by its square root: what slows a
# machine comes and goes over all spans of time (self-similar, with a Hurst exponent of 0.75).
HURST = -0.25


@dataclass(frozen=True)
class Stretch:
    """Some steps in a row, without evaluations."""

    steps: int
    seconds: float


@dataclass(frozen=True)
class Pace:
    """Seconds a step: what they were, and how that varies."""

    step: float
    seconds: float  # in which it was seen
    jitter: float = 0.0  # squares of how stretches were off the mean, in e-folds at one second
    sure: int = 0  # of how many


@dataclass
class Seen:
    """Folded events."""

    at: float | None = None  # the moment of the last word about how far it is; none: not running
    step: int = 0
    steps: int | None = None  # planned
    seconds: float = 0.0  # of training
    stepped: bool = False  # this attempt has done a step
    looked: int | None = None  # the step of the last evaluation
    looks: int = 0  # evaluations seen
    looking: float = 0.0  # seconds they took, with their checkpoints
    stretches: list[Stretch] = field(default_factory=list)
    _told: float | None = None  # seconds a step, as the last `progress` says
    _word: tuple[int, dict[str, float]] | None = None  # the attempt's last ledger
    _since: tuple[int, float] | None = None  # step and moment from which steps only were done
    _pending: int = 0  # evaluations since the last ledger

    def add(self, event: Event) -> None:
        """Take one more event into account."""
        if event.rank == 0 and (fold := _FOLDS.get(event.kind)):
            fold(self, event.data, event.time)

    def pace(self) -> Pace | None:
        """How fast steps went; none when too little was seen."""
        known = [*self.stretches, *self._newest()]
        steps, seconds = sum(one.steps for one in known), sum(one.seconds for one in known)
        if not steps or seconds < SHORTEST:
            return Pace(self._told, SHORTEST) if self._told else None
        mean = seconds / steps
        off = [(math.log(one.seconds / one.steps / mean), one.seconds) for one in known]
        jitter = sum((log * span**-HURST) ** 2 for log, span in off)
        return Pace(mean, seconds, jitter, len(known) - 1)

    def _newest(self) -> list[Stretch]:
        """The steps since the last ledger."""
        if self._since is None or self.at is None or self.step <= self._since[0]:
            return []
        newest = Stretch(self.step - self._since[0], self.at - self._since[1])
        return [newest] if newest.seconds >= SHORTEST else []

    def _keep(self, stretch: Stretch) -> None:
        self.stretches.append(stretch)
        if len(self.stretches) > MOST:
            pairs = zip(self.stretches[::2], self.stretches[1::2], strict=False)
            odd = self.stretches[len(self.stretches) // 2 * 2 :]
            merged = [Stretch(a.steps + b.steps, a.seconds + b.seconds) for a, b in pairs]
            self.stretches = [*merged, *odd]


def _status(seen: Seen, data: dict[str, Any], when: float) -> None:
    seen.at = when if data["status"] == "RUNNING" else None
    seen.stepped, seen._word, seen._since = False, None, None


def _metrics(seen: Seen, data: dict[str, Any], when: float) -> None:
    seen.at = when
    seen.seconds = data.get("seconds", seen.seconds)
    if data["split"] == "train":
        seen.step, seen.stepped = data["step"], True
        seen._since = seen._since or (data["step"], when)
    elif data["split"] == "valid":
        seen.looked, seen._since = data["step"], None
        seen._pending += 1


def _progress(seen: Seen, data: dict[str, Any], when: float) -> None:
    seen.step, seen.at, seen.stepped = data["step"], when, True
    seen.steps = data.get("steps") or seen.steps
    if data["step"] and data.get("rate") and data.get("examples"):
        seen._told = data["examples"] / data["step"] / data["rate"]


def _ledger(seen: Seen, data: dict[str, Any], when: float) -> None:
    step, now = data["step"], split(data["rows"])
    if step and seen._word:
        done, before = seen._word
        stepping = now["stepping"] - before["stepping"]
        if step > done and stepping > 0:
            seen._keep(Stretch(step - done, stepping))
        seen.looking += max(now["looking"] - before["looking"], 0.0)
        seen.looks += seen._pending
    seen._pending = 0
    if step:
        seen.at, seen._word, seen._since = when, (step, now), (step, when)


_FOLDS: dict[str, Callable[[Seen, dict[str, Any], float], None]] = {
    "status": _status,
    "metrics": _metrics,
    "progress": _progress,
    "ledger": _ledger,
}
