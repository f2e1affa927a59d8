"""Time and devices that a sweep may use: what still fits, and when to give up breadth for depth.

window = until(by="07:00")                     # Window(end=…), in the zone of this machine
speed = Speed(question, steps, past)           # past: seconds of a run like it, if known
speed.leg(state, trial=None, rung=0)           # seconds that a new trial will take, or none
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from turnaround.cost import asked as asked_of
from turnaround.errors import ConfigError
from turnaround.forecast.eta import Forecast
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.spec import Status, seconds
from turnaround.sweep.question import Mark, Question, Window, planned
from turnaround.sweep.state import State, Trial

LEAVE = 3.0  # seconds before the end at which what still runs is saved and stopped
CARE = 1.25  # a trial is started if it ends in time even when it takes so much longer than others


# ── asking ──


def window(last: str | None, by: str | None, budget: str | None, now: float) -> Window:
    """What `--for`, `--by` and `--budget` come to; ConfigError when nothing can happen in it."""
    ends = [_for(last, now)] if last is not None else []
    ends += [_by(by, now)] if by is not None else []
    return Window(min(ends, default=None), _devices(budget) if budget is not None else None)


def _for(text: str, now: float) -> float:
    length = seconds(text)
    if not isinstance(length, float) or length <= 0:
        raise ConfigError(f"--for {text} is no length of time", "as in --for 8h or --for 1h30m")
    return now + length


def _by(text: str, now: float) -> float:
    """07:00 is the next one; a date and a time are that moment."""
    here = datetime.fromtimestamp(now).astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = map(int, text.split(":"))
            then = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (then if then > here else then + timedelta(days=1)).timestamp()
        end = datetime.fromisoformat(text).timestamp()
    except ValueError:
        message = f"--by {text} is no time of day"
        raise ConfigError(message, "as in --by 07:00 or --by 2030-01-31T07:00") from None
    if end <= now:
        raise ConfigError(f"--by {text} is over already", f"it is {here:%Y-%m-%d %H:%M %Z} now")
    return end


def _devices(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)\s*dev-(hours?|h|minutes?|m|seconds?|s)", text)
    try:
        amount = float(found[1]) if found else 0.0
    except ValueError:
        amount = 0.0
    if found is None or amount <= 0:
        raise ConfigError(f"--budget {text} buys nothing", "as in --budget 40dev-hours")
    return amount * {"h": 3600.0, "m": 60.0, "s": 1.0}[found[2][0]]


# ── measuring ──


@dataclass(frozen=True)
class Speed:
    """How long trials take: by those that were, and before there is any by runs like them."""

    question: Question
    steps: list[int | None]  # at which rungs end
    past: Interval | None  # of a whole run
    waves: int = 1  # runs of a trial one after another, where not all seeds find room

    def leg(self, state: State, trial: Trial | None, rung: int) -> float | None:
        """Seconds until a trial has reached that rung, from where it is; none when unknown."""
        known = self._known(state)
        if known is None:
            return None
        begin = self.share(trial.rung) if trial and trial.results else 0.0
        starting, steps = known
        return self.waves * (starting + max(self.share(rung) - begin, 0.0) * steps)

    def _known(self, state: State) -> tuple[float, float] | None:
        """Seconds of a start and of all steps of a run, of the slower ones.

        Whole runs tell best, then what paused, then runs of other sweeps.
        """
        top, seeds = len(self.steps) - 1, self.question.settings.seeds
        ended = [result for trial in state.trials.values() for result in trial.results.values()]
        good = [r for r in ended if r.status is Status.SUCCEEDED and r.steps and r.seconds > 0]
        whole = [trial.results[top] for trial in state.whole(top)]
        if seen := [result for result in whole if result.seconds > 0] or good:
            starting = max(r.starting for r in seen) / (seeds * self.devices)
            rates = sorted((r.seconds - r.starting) / r.steps / self.devices for r in seen)
            slow = rates[min(len(rates) - 1, int(0.9 * len(rates)))]
            return starting, slow * self.budget(state)
        return (0.0, self.past.high) if self.past else None

    def share(self, rung: int) -> float:
        """Of the whole budget that a rung is."""
        until = self.steps[rung]
        total = self._total
        return 1.0 if until is None or not total else min(1.0, until / total)

    def budget(self, state: State) -> float:
        """Steps of a whole run; where only time is planned, those of runs that have ended."""
        top = len(self.steps) - 1
        ended = [
            trial.results[top].steps // self.question.settings.seeds for trial in state.whole(top)
        ]
        return self._total or max(ended, default=1)

    @cached_property
    def devices(self) -> int:
        """That one run holds."""
        return planned(self.question, _any(self.question), Mark("sweep", 0)).devices

    @property
    def _total(self) -> int:
        config = self.question.stems[0].config
        budget = config.budget
        by_examples = math.ceil(budget.examples / config.data.batch) if budget.examples else None
        return min((n for n in (budget.steps, by_examples) if n), default=0)


def measured(question: Question, journal: Journal, now: float) -> Interval | None:
    """Seconds of one of the trials as a whole run, by runs of the journal; none when unknown."""
    made = planned(question, _any(question), Mark("sweep", 0))
    whole = Forecast(asked_of(made), lambda: journal.history(made.recipe.name), now).whole()
    return whole.interval() if whole else None


def fits(question: Question, takes: Interval, slots: int, now: float) -> tuple[int, int]:
    """How many trials of that length fit in the window, if they are slow and if they are fast."""
    window, seeds = question.window, question.settings.seeds
    most = []
    for each in (takes.high, takes.low):
        waves = max(0.0, window.end - now - LEAVE) // max(each, 1e-3) if window.end else math.inf
        by_time = slots * waves / seeds
        by_devices = (window.device_seconds or math.inf) / (max(each, 1e-3) * seeds)
        most.append(min(by_time, by_devices, question.trials, 1e9))
    return int(most[0]), int(most[1])


def _any(question: Question) -> dict[str, object]:
    """Settings in the middle of the space."""
    values: dict[str, object] = {}
    for axis in question.axes:
        middle = math.sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
        number = int(middle) if axis.integer else middle
        values[axis.key] = axis.values[len(axis.values) // 2] if axis.listed else number
    return values


# ── deciding ──


@dataclass
class Watch:
    """The window while a sweep runs."""

    window: Window
    speed: Speed
    clock: Callable[[], float]

    def over(self, spent: float) -> str:
        """Why nothing may run any more; "" while it may."""
        if self.window.end is not None and self.clock() >= self.window.end - LEAVE:
            return "the window has ended"
        if self.window.device_seconds is not None and spent >= self.window.device_seconds:
            return "the device-hours are spent"
        return ""

    def room(self, state: State, trial: Trial | None, rung: int, spent: float) -> bool:
        """A trial may go to that rung, and somebody can still be trained to the end."""
        takes = self.speed.leg(state, trial, rung)
        if takes is None:
            return True
        top = len(self.speed.steps) - 1
        need = takes
        if rung != top and not state.whole(top):
            need += self.speed.leg(state, None, top) or 0.0  # the winner's own way, at worst
        elif rung == 0 != top:
            need = self.speed.leg(state, None, top) or 0.0  # a new one that could not win is waste
        return CARE * need <= self.left(spent, need)

    def left(self, spent: float, need: float) -> float:
        """Seconds of the window; device-seconds count as if one trial had them alone."""
        by_time = self.window.end - LEAVE - self.clock() if self.window.end else math.inf
        each = self.speed.devices * self.speed.question.settings.seeds
        total = self.window.device_seconds
        return min(by_time, (total - spent) / each if total else math.inf)
