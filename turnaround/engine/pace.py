"""When things are due and when it is over: every so many steps, budgets, patience.

    pace = Pace(plan)
    pace.due(now)        # any of what follows may be so; after most steps nothing is
    pace.looks(now)      # an evaluation is due
    pace.saves(now)      # a checkpoint is due
    pace.over(now)       # "budget.steps": why training ends here, or none

What is due follows from the plan and `Progress` alone, so all ranks and attempts agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from turnaround.spec import Plan

TENTHS = 10  # evaluations in a budget when nobody says how many
TINY = 1e-9  # a share may be a rounding below a tenth


@dataclass
class Progress:
    """How far training is; part of every checkpoint."""

    step: int = 0
    examples: int = 0
    seconds: float = 0.0  # of training with its evaluations, over all attempts, by rank 0's clock
    stopping: bool = False  # somebody asked to stop
    looked: int = 0  # step of the last evaluation, and its tick (see Pace)
    look_tick: int = 0
    saved: int = 0  # step of the last checkpoint, and its tick
    save_tick: int = 0
    best: float | None = None  # `evaluate.score` where it was best
    stale: int = 0  # evaluations since
    valid: dict[str, float] = field(default_factory=dict)  # every score of the best evaluation
    noise: list[float] = field(default_factory=list)  # sums of the gradient noise scale's estimate
    times: int = 1  # the plan's batches that make a step's (see growth.py)
    gain: float = 1.0  # on the learning rate, for that
    recent: list[float] = field(default_factory=list)  # as `noise`, of the last few measurements
    growth: dict[str, float] = field(default_factory=dict)  # what those decisions rest on


class Pace:
    """The plan's budgets and intervals, asked once a step.

    An interval is a tick, a whole number that grows. Something is due when the tick is not what it
    was last time, so a resumed run makes up for what an interruption cut short.
    """

    def __init__(self, plan: Plan, judges: bool = True) -> None:
        self.judges = judges  # this rank takes part in evaluations and saves
        budget, evaluate = plan.budget, plan.evaluate
        limits = {
            "budget.steps": ("step", budget.steps),
            "budget.examples": ("examples", budget.examples),
            "budget.time": ("seconds", budget.time),
        }
        self._limits = [(knob, spent, most) for knob, (spent, most) in limits.items() if most]
        self._until = plan.until or math.inf
        self._look_every = evaluate.every
        self._save_every = plan.checkpoint.every
        self._every = [every for every in (self._look_every, self._save_every) if every]
        self.score = evaluate.score  # what decides which parameters are the best
        self._next = (-math.inf, -math.inf, -math.inf)  # step, examples, seconds: see `due`
        self._first: int | None = None  # step of this attempt, until it has been rehearsed
        self._rehearsed = False
        self._target = budget.target
        self._patience = evaluate.patience or math.inf
        self._sign = 1 if evaluate.rises else -1

    def share(self, now: Progress) -> float:
        """How much of the budget is spent, from 0 to 1 and a little over."""
        return max((getattr(now, spent) / most for _, spent, most in self._limits), default=0.0)

    def due(self, now: Progress) -> bool:
        """Something may be to be done. It is known before when that can next be so: 0.2 µs."""
        step, examples, seconds = self._next
        if (
            now.step < step
            and now.examples < examples
            and now.seconds < seconds
            and not now.stopping
        ):
            return False
        self._next = self._sooner(now)
        return True

    def _sooner(self, now: Progress) -> tuple[float, float, float]:
        """The least step, number of examples and second at which anything can be due again."""
        tick = int(TENTHS * self.share(now) + TINY) + 1
        until = {spent: tick * most / TENTHS * (1 - TINY) for _, spent, most in self._limits}
        steps = [every * (now.step // every + 1) for every in self._every]
        if not self._rehearsed:
            steps.append(now.step + 1)
        step = min([until.get("step", math.inf), self._until, *steps])
        return step, until.get("examples", math.inf), until.get("seconds", math.inf)

    def rehearses(self, now: Progress) -> bool:
        """Once: after the first step of this attempt."""
        if self._first is None:
            self._first = now.step
        if self._rehearsed or now.step == self._first:
            return False
        self._rehearsed = True
        return True

    def looks(self, now: Progress) -> bool:
        """An evaluation is due. One that a stop cut short is made up for by the next attempt."""
        if not self.judges or now.stopping or now.looked == now.step:
            return False
        return self._look_tick(now) != now.look_tick or self.over(now) is not None

    def saves(self, now: Progress) -> bool:
        """A checkpoint is due."""
        if not self.judges or now.saved == now.step:
            return False
        return self._save_tick(now) != now.save_tick or self.over(now) is not None

    def over(self, now: Progress) -> str | None:
        """Why training ends here: the knob that says so, or `stop`; none while it goes on."""
        if now.stopping:
            return "stop"
        for knob, spent, most in self._limits:
            if getattr(now, spent) >= most:
                return knob
        if (
            self._target is not None
            and now.best is not None
            and not self._better(self._target, now.best)
        ):
            return "budget.target"
        if now.stale >= self._patience:
            return "evaluate.patience"
        return "until" if self.pauses(now) else None

    def pauses(self, now: Progress) -> bool:
        """The plan goes on later from here: nothing is concluded yet."""
        return now.step >= self._until

    def looked(self, now: Progress, values: dict[str, float]) -> bool:
        """Take down an evaluation; whether it is the best so far."""
        now.looked, now.look_tick = now.step, self._look_tick(now)
        score = values.get(self.score, math.nan)
        better = math.isfinite(score) and (now.best is None or self._better(score, now.best))
        now.stale = 0 if better or not values else now.stale + 1
        if not better and score != now.best:
            return False
        now.best, now.valid = score, values  # of equals the later one, which has learnt more
        return True

    def saved(self, now: Progress) -> None:
        """Take down a checkpoint."""
        now.saved, now.save_tick = now.step, self._save_tick(now)

    def _better(self, score: float, than: float) -> bool:
        return self._sign * score > self._sign * than

    def _look_tick(self, now: Progress) -> int:
        if self._look_every:
            return now.step // self._look_every
        return int(TENTHS * self.share(now) + TINY)

    def _save_tick(self, now: Progress) -> int:
        return now.step // self._save_every if self._save_every else self._look_tick(now)
