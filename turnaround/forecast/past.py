"""What a run tells of a step's time, of the noise scale and of the way to a target.

told = read(plan, journal.events(run.id))
told.step        # a throughput.Step, or none
told.scale       # the last noise scale it measured, as an interval, or none
told.reached("bleu", 30.0, up=True)     # steps, or none
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from turnaround.cost import split, together
from turnaround.forecast.front import LUCK, Known
from turnaround.forecast.guess import Interval
from turnaround.forecast.share import Heard
from turnaround.forecast.throughput import Step
from turnaround.spec import Event, Plan

ENOUGH = 20  # steps that say how long one takes
MOST_LUCK = 0.3  # e-folds: a score that gets worse in the end says nothing of luck
NOISE = ("noise/low", "noise/scale", "noise/high")
PARTS = ("noise/trace", "noise/square")


@dataclass
class Told:
    """What one run says."""

    plan: Plan
    step: Step | None = None
    scale: Interval | None = None
    measured: int = 0  # steps after which it said so
    steps: int = 0  # that it took
    doubts: list[str] = field(default_factory=list)  # about what the scale means
    valid: list[tuple[int, dict[str, float]]] = field(default_factory=list)  # step, scores
    scales: list[tuple[int, Interval]] = field(default_factory=list)  # as they were told
    look: float = 0.0  # seconds of one evaluation and its checkpoint
    heard: Heard | None = None  # how the noise scale went

    @property
    def whole(self) -> int:
        """Steps of its schedule; where no number of them ends it, those that it came to."""
        return self.plan.budget.within(self.plan.data) or self.steps

    def scale_by(self, step: float) -> Interval | None:
        """The noise scale that counts up to that step: later ones are of a loss that is lower.

        Where too little was said for that, the last that was told before it.
        """
        if self.heard and (found := self.heard.scale(step)):
            return found
        before = [scale for told, scale in self.scales if told <= step]
        return before[-1] if before else self.scales[0][1] if self.scales else None

    @property
    def listened(self) -> bool:
        """A part of each batch was heard by itself, now and then."""
        plan = self.plan
        pieces = plan.layout.readers * plan.update.accumulate
        return plan.update.name == "sync" and plan.tracking.noise is not None and pieces > 1

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

    def luck(self, score: str, target: float, up: bool) -> float:
        """E-folds by which steps to a target differ from run to run: more where it came and went.

        Half of the way from the first look that was there to the last that was not.
        """
        first, last = self.reached(score, target, up), 0.0
        for step, values in self.valid:
            value = values.get(score, target)
            if (value < target) if up else (value > target):
                last = float(step)
        if not first or last <= first:
            return LUCK
        return min(math.hypot(LUCK, math.log(last / first) / 2), MOST_LUCK)

    def known(self, steps: float, scale: Interval, ways: Mapping[int, float]) -> Known:
        """What a front needs of the way to a target that took so many steps.

        The noise scale is this run's own where it told one; `ways` are the fewest steps of any run
        that was there, by batch.
        """
        plan, looks = self.plan, sum(step <= steps for step, _ in self.valid)
        early = self.heard and self.heard.scale(plan.optim.warmup)
        return Known(
            plan.data.batch,
            math.ceil(steps),
            self.scale_by(steps) or scale,
            plan.optim.lr,
            plan.optim.name,
            whole=max(self.whole, steps),
            warmup=plan.optim.warmup,
            early=early.middle if early else None,
            every=plan.evaluate.every,
            looking=self.look * looks * plan.devices,
            held=plan.data.batch / plan.layout.readers / plan.update.accumulate,
            ways=ways,
        )

    def best(self, score: str, up: bool) -> float | None:
        """The best it came to."""
        values = [values[score] for _, values in self.valid if score in values]
        return (max if up else min)(values) if values else None


def read(plan: Plan, events: Iterable[Event]) -> Told:
    """All of it, from the events of one run; of time the newest attempt's.

    A run that was trained with others, or beside them on a device, tells no time, nor does one
    whose steps are not of the plan's batch.
    """
    told = Told(plan)
    first: tuple[int, dict[str, float]] | None = None
    last: tuple[int, dict[str, float]] | None = None
    attempt, alone = 0, plan.cluster.share is None
    for event in events:
        alone = alone and not together(event)
        if event.kind == "metrics" and event.data["split"] == "valid":
            told.valid.append((event.data["step"], event.data["values"]))
        elif event.kind == "metrics" and event.data["values"].get(NOISE[1], 0.0) > 0:
            _hear(told, event.data["step"], event.data["values"])
        elif event.kind == "notice" and event.data.get("about") == "noise":
            told.doubts.append(event.data["message"])
        elif event.kind == "ledger" and event.rank == 0:
            if event.attempt != attempt:
                first, attempt = None, event.attempt
            last = (event.data["step"], event.data["rows"])
            told.steps = max(told.steps, last[0])
            first = first or (last if last[0] > 0 else None)
    if plan.data.constant and alone and first and last and last[0] - first[0] >= ENOUGH:
        told.step = _step(plan, first, last)
    if last and alone and attempt == 1 and told.valid:
        told.look = split(last[1])["looking"] / len(told.valid)
    return told


def _hear(told: Told, step: int, values: Mapping[str, float]) -> None:
    """One more word about the noise."""
    told.scale, told.measured = Interval(*(values[name] for name in NOISE)), step
    told.scales.append((step, told.scale))
    plan = told.plan
    if plan.tracking.noise is None or plan.data.grow > 1 or not values.keys() >= set(PARTS):
        return
    told.heard = told.heard or Heard(plan.data.batch, plan.tracking.noise)
    told.heard.add(step, *(values[name] for name in PARTS))


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
