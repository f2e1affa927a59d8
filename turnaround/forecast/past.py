"""What a run tells of a step's time, of the noise scale and of the way to a target.

told = read(plan, journal.events(run.id))
told.step        # a throughput.Step, or none
told.scale       # the last noise scale it measured, as an interval, or none
told.reached("bleu", 30.0, up=True)     # steps, or none
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from turnaround.cost import split
from turnaround.forecast.guess import Interval
from turnaround.forecast.throughput import Step
from turnaround.spec import Event, Plan

ENOUGH = 20  # steps that say how long one takes
NOISE = ("noise/low", "noise/scale", "noise/high")


@dataclass
class Told:
    """What one run says."""

    plan: Plan
    step: Step | None = None
    scale: Interval | None = None
    valid: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # step, scores

    def reached(self, score: str, target: float, up: bool) -> float | None:
        """Steps after which the valid split's score was there; between two looks, by a line."""
        before: tuple[float, float] | None = None
        for step, values in self.valid:
            value = values.get(score)
            if value is None:
                continue
            if (value >= target) if up else (value <= target):
                if before is None or value == before[1]:
                    return float(step)
                return before[0] + (step - before[0]) * (target - before[1]) / (value - before[1])
            before = (float(step), value)
        return None

    def best(self, score: str, up: bool) -> float | None:
        """The best it came to."""
        values = [values[score] for _, values in self.valid if score in values]
        return (max if up else min)(values) if values else None


def read(plan: Plan, events: Iterable[Event]) -> Told:
    """All of it, from the events of one run; of time the newest attempt's."""
    told = Told(plan)
    first: tuple[int, dict[str, float]] | None = None
    last: tuple[int, dict[str, float]] | None = None
    attempt = 0
    for event in events:
        if event.kind == "metrics" and event.data["split"] == "valid":
            told.valid.append((event.data["step"], event.data["values"]))
        elif event.kind == "metrics" and NOISE[1] in event.data["values"]:
            told.scale = Interval(*(event.data["values"][name] for name in NOISE))
        elif event.kind == "ledger" and event.rank == 0:
            if event.attempt != attempt:
                first, attempt = None, event.attempt
            last = (event.data["step"], event.data["rows"])
            first = first or (last if last[0] > 0 else None)
    if first and last and last[0] - first[0] >= ENOUGH:
        told.step = _step(plan, first, last)
    return told


def _step(
    plan: Plan, first: tuple[int, dict[str, float]], last: tuple[int, dict[str, float]]
) -> Step:
    """The mean step between two ledgers: what came before the first is not like the rest."""
    steps = last[0] - first[0]
    seconds = split(last[1])["stepping"] - split(first[1])["stepping"]
    wait = last[1].get("communicate", 0.0) - first[1].get("communicate", 0.0)
    micro = plan.update.accumulate
    batch = plan.data.batch / plan.devices / micro
    return Step(plan.devices, 1, batch, micro, seconds / steps, wait / steps)
