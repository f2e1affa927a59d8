"""How long a run will take, and how much of it is left, from runs like it and from what it did.

    forecast = Forecast(run.asked, lambda: journal.history(run.recipe), time.time())
    forecast.whole()                    # from its start to its end; none when nothing is known
    forecast.left(seen, time.time())    # Interval(low=28, middle=34, high=45), of seconds

A run is a start, steps, evaluations and a finish. What each costs is told by runs before (`like`)
and, from its first steps on, better and better by the run itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from turnaround.cost import Past
from turnaround.forecast.guess import Guess, Interval, both, total
from turnaround.forecast.like import Known, like
from turnaround.forecast.seen import HURST, SHORTEST, Pace, Seen

TENTHS = 10  # evaluations in a budget when nobody says how many
STEADY = 0.015  # e-folds that the pace of a run may drift by, however long it was seen
USUAL = 0.1  # jitter, before there is any (see `Pace`)
WORTH = 2.0  # stretches that this is worth
DRIFTS = 40  # runs before that tell how the pace drifts on this machine
SAME = 0.3  # e-folds that one evaluation of a run differs by from another
STRANGE = 0.8  # e-folds of doubt about a part that neither this run nor any other has shown
ALIKE = 0.7  # e-folds by which evaluations are slower in a run whose steps are by one
END = 0.05  # of the training time: a finish that nobody has seen
VAGUE = 1.0  # e-folds: an interval whose end is 13 times its beginning tells nobody anything
SOONER = Guess(0.5, 0.6)  # share of what is left, where a target or patience may end it at any time


@dataclass(frozen=True)
class Work:
    """When a run is over, and how often it looks."""

    steps: int | None  # the budget's steps and examples, in steps
    time: float | None  # the budget's, of training
    every: int | None  # steps from look to look
    early: bool  # a target or patience may end it

    @classmethod
    def of(cls, goal: Mapping[str, Any]) -> Work:
        """As a plan's goal says (see `cost.asked`)."""
        examples = math.ceil(goal.get("examples", 0) / goal.get("batch", 1))
        limits = [limit for limit in (goal.get("steps"), examples) if limit]
        early = "target" in goal or "patience" in goal
        return cls(min(limits, default=None), goal.get("time"), goal.get("every"), early)

    def looks(self, step: int) -> int:
        """How many evaluations there are up to this step, and with it."""
        over = self.steps is not None and step >= self.steps
        if self.every:
            return step // self.every + bool(over and step % self.every)
        return int(TENTHS * min(step / self.steps, 1.0) + 1e-9) if self.steps else 0


class Forecast:
    """Of one run; `history` is called once, when there is something to say, and that is `now`."""

    def __init__(
        self, asked: Mapping[str, Any], history: Callable[[], Sequence[Past]], now: float
    ) -> None:
        self.now = now
        self.asked: Mapping[str, Any] = asked.get("like", {})
        self.work = Work.of(asked.get("goal", {}))
        self._read = history

    def whole(self) -> Guess | None:
        """From its start to its end, before it starts; none without runs like it."""
        return self.guess(Seen())

    def left(self, seen: Seen, now: float) -> Interval | None:
        """From now to its end; none when nobody can know."""
        guess = self.guess(seen)
        return guess.after(max(now - (seen.at or now), 0.0)) if guess else None

    def guess(self, seen: Seen) -> Guess | None:
        """From the last word of the run to its end; from its start while it waits."""
        guess = self._guess(seen)
        return guess if guess and guess.spread <= VAGUE else None

    # ── parts ──

    def _guess(self, seen: Seen) -> Guess | None:
        """However vague."""
        if (training := self._training(seen)) is None:
            return None
        parts = [training, self._finish(seen, training)]
        if not seen.stepped:
            if self._start is None:
                return None
            parts.append(self._start)
        return total(parts)

    def _training(self, seen: Seen) -> Guess | None:
        """Steps and evaluations to come."""
        step, end = self._step(seen), self._end(seen)
        most = None if self.work.time is None else max(self.work.time - seen.seconds, 0.0)
        if step is None or end is None or step.middle <= 0:
            return None if most is None else self._until(most, seen)
        steps = Guess(end.middle * step.middle, math.hypot(step.spread, end.spread))
        looks = self._looks(seen, end.middle)
        if (look := self._look(seen)) is None:
            look = Guess(END * steps.middle / max(looks, 1), STRANGE)
        guess = total([steps, look.times(looks)])
        return guess if most is None or guess.middle < most else self._until(most, seen)

    def _until(self, most: float, seen: Seen) -> Guess:
        """A budget of time: it counts evaluations, all but the last."""
        rest = Guess(most * SOONER.middle, SOONER.spread) if self.work.early else Guess(most, 0.01)
        look = self._look(seen)
        return total([rest, look]) if look else rest

    def _end(self, seen: Seen) -> Guess | None:
        """Steps to come."""
        limit = self.work.steps or seen.steps
        most = None if limit is None else max(limit - seen.step, 0)
        if not self.work.early:
            return None if most is None else Guess(float(most), 0.0)
        if (steps := self._ended) is None:
            return None if most is None else Guess(most * SOONER.middle, SOONER.spread)
        rest = steps.after(float(seen.step)).middle
        spread = steps.spread * steps.middle / max(rest, 1.0)
        return Guess(rest if most is None else min(rest, most), min(spread, 1.5))

    def _looks(self, seen: Seen, steps: float) -> int:
        """Evaluations to come."""
        done = seen.step if seen.looked is None else seen.looked
        return self.work.looks(seen.step + round(steps)) - self.work.looks(done)

    def _step(self, seen: Seen) -> Guess | None:
        """Seconds a step, on average over those to come."""
        known, pace = self._stepping, seen.pace()
        if pace is None or (end := self._end(seen)) is None:
            return known
        jitter = self._jitter(pace)
        own = Guess(pace.step, math.hypot(jitter * pace.seconds**HURST, STEADY))
        level = seen_and_known(own, known) if known else own
        ahead = jitter * max(end.middle * pace.step, SHORTEST) ** HURST
        return Guess(level.middle, math.hypot(level.spread, ahead))

    def _jitter(self, pace: Pace) -> float:
        """How much the pace over one second varies: in this run, and in runs before it."""
        squares, sure = self._drifting
        return math.sqrt((USUAL**2 * WORTH + squares + pace.jitter) / (WORTH + sure + pace.sure))

    def _look(self, seen: Seen) -> Guess | None:
        """Seconds of an evaluation with its checkpoint."""
        known = self._today(self._looking, seen)
        if not seen.looks or seen.looking <= 0:
            return known
        own = Guess(seen.looking / seen.looks, SAME / math.sqrt(seen.looks))
        return seen_and_known(own, known) if known else own

    def _finish(self, seen: Seen, training: Guess) -> Guess:
        """Test split, samples and last words: of runs before, else about as long as a look."""
        if known := self._today(self._finishing, seen):
            return known
        look = self._look(seen)
        step = self._step(seen)
        done = seen.step * step.middle if step else 0.0
        return Guess(look.middle if look else END * (done + training.middle), STRANGE)

    def _today(self, known: Guess | None, seen: Seen) -> Guess | None:
        """Where steps are slower than in runs before, the rest is too, mostly."""
        if known is None or self._stepping is None or (step := self._step(seen)) is None:
            return known
        return known.times((step.middle / self._stepping.middle) ** ALIKE)

    # ── runs before ──

    @cached_property
    def _history(self) -> list[Past]:
        return [past for past in self._read() if past.cost.get("steps")]

    @cached_property
    def _start(self) -> Guess | None:
        return self._from(lambda past: past.cost["start"])

    @cached_property
    def _finishing(self) -> Guess | None:
        return self._from(lambda past: past.cost["finish"])

    @cached_property
    def _stepping(self) -> Guess | None:
        return self._from(lambda past: past.cost["stepping"] / past.cost["steps"], 1e-6)

    @cached_property
    def _looking(self) -> Guess | None:
        return self._from(_seconds_a_look)

    @cached_property
    def _drifting(self) -> tuple[float, int]:
        """Squares of the jitter of the newest runs, by how their halves differed; and how many."""
        known = [past.cost for past in self._history if "drift" in past.cost][:DRIFTS]
        halves = [cost["stepping"] / 2 for cost in known]
        pairs = zip(known, halves, strict=True)
        squares = sum((cost["drift"] * half**-HURST) ** 2 / 2 for cost, half in pairs)
        return squares, len(known)

    @cached_property
    def _ended(self) -> Guess | None:
        """Steps at which runs like it were over; those that could not end early do not tell."""
        early = [past for past in self._history if Work.of(past.asked["goal"]).early]
        return self._from(lambda past: past.cost["steps"], 1.0, early)

    def _from(
        self, part: Callable[[Past], float | None], tiny: float = 1e-3, among: Any = None
    ) -> Guess | None:
        pairs = [(past, part(past)) for past in (self._history if among is None else among)]
        known = [
            Known(past.asked["like"], max(cost, tiny), self.now - past.ended)
            for past, cost in pairs
            if cost is not None
        ]
        return like(known, self.asked)


def seen_and_known(own: Guess, known: Guess) -> Guess:
    """What a run shows and what runs before it did; they are in doubt by as much as it differs."""
    miss = abs(math.log(own.middle / known.middle))
    return both(own, Guess(known.middle, max(known.spread, miss)))


def _seconds_a_look(past: Past) -> float | None:
    looks = Work.of(past.asked["goal"]).looks(int(past.cost["steps"]))
    return past.cost["looking"] / looks if looks else None
