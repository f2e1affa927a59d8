"""Time and devices that a sweep may use: what still fits, and when to give up breadth for depth.

window = window(None, "07:00", None, now)      # Window(end=…), in the zone of this machine
speed = Speed(question, steps, past)           # past: seconds of a run like it, if known
speed.leg(state, trial=None, rung=0)           # seconds that a new trial will take, or none
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from turnaround.cost import asked as asked_of
from turnaround.errors import ConfigError
from turnaround.forecast.eta import Forecast
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.spec import Status, seconds
from turnaround.sweep.question import Mark, Question, Window, planned, point
from turnaround.sweep.rungs import leaders
from turnaround.sweep.state import Result, State, Trial

BRIEF = 5.0  # seconds of a leg beside which the pause before the next is noticed: some 50 ms
LEAVE = 3.0  # seconds before the end at which what still runs is saved and stopped
FEW = 3  # trials that say little of what others take
NEWEST = 64  # results by which times are guessed
RETRY = 0.5  # of the window, which may be kept for two tries at the winner: in 120 nights one ended
# without any, where a third of it kept left three, and losses were the same
CARE = 1.25  # a trial is started if it ends in time even when it takes so much longer than others


# ── asking ──


def window(
    last: str | None, by: str | None, budget: str | None, now: float, at: str | None = None
) -> Window:
    """What the options come to; ConfigError when nothing can happen in it. `--for` and `--by` count
    from the beginning."""
    begin = moment("--at", at, now) if at is not None else None
    ends = [_for(last, begin or now)] if last is not None else []
    ends += [moment("--by", by, begin or now)] if by is not None else []
    spend = _devices(budget) if budget is not None else None
    return Window(min(ends, default=None), spend, begin)


def _for(text: str, now: float) -> float:
    length = seconds(text)
    if not isinstance(length, float) or length <= 0:
        raise ConfigError(f"--for {text} is no length of time", "as in --for 8h or --for 1h30m")
    return now + length


def moment(option: str, text: str, now: float) -> float:
    """07:00 is the next one; a date and a time are that moment."""
    here = datetime.fromtimestamp(now).astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = map(int, text.split(":"))
            then = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return (then if then > here else then + timedelta(days=1)).timestamp()
        found = datetime.fromisoformat(text).timestamp()
    except ValueError:
        message = f"{option} {text} is no time of day"
        hint = f"as in {option} 07:00 or {option} 2030-01-31T07:00"
        raise ConfigError(message, hint) from None
    if found <= now:
        message = f"{option} {text} is over already"
        raise ConfigError(message, f"it is {here:%Y-%m-%d %H:%M %Z} then")
    return found


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
class _Pace:
    """Seconds of one device or gang."""

    starting: float  # before the first step of a leg
    usual: float  # all steps of a run
    slow: float  # of the slower ones


@dataclass(frozen=True)
class Speed:
    """How long trials take: by those that were, and before there is any by runs like them."""

    question: Question
    steps: list[int | None]  # at which rungs end
    past: Interval | None  # of a whole run
    waves: int = 1  # runs of a trial one after another, where not all seeds find room
    _found: dict[int, _Pace | None] = field(default_factory=dict)  # by results told

    def leg(
        self, state: State, trial: Trial | None, rung: int, careful: bool = True
    ) -> float | None:
        """Seconds until a trial has reached that rung, from where it is; none when unknown.

        A careful guess is that of the slower trials, and is seldom too short.
        """
        if state.told not in self._found:
            self._found.clear()
            self._found[state.told] = self._known(state)
        known = self._found[state.told]
        if trial and _answered(trial):
            return 0.0
        if known is None:
            return None
        starting, steps = known.starting, known.slow if careful else known.usual
        begin = trial.begin / self.budget(state) if trial else 0.0
        if trial and trial.results:
            begin = self.share(max(trial.results))
            steps = self._own(trial, known.slow / self.budget(state)) * self.budget(state) or steps
        return self.waves * (starting + max(self.share(rung) - begin, 0.0) * steps)

    def _own(self, trial: Trial, slow: float) -> float:
        """Seconds of a step of that trial, in the middle one of its legs: one that was held up says
        nothing of the next, and the first alone not that it is slower than the slow ones; 0 when
        unknown."""
        seeds, before = self.question.settings.seeds, Result(Status.SUCCEEDED, 0, "", 0, 0, 0)
        done, paces = seeds * trial.begin, []
        for _, result in sorted(trial.results.items()):
            seconds = result.seconds - before.seconds - (result.starting - before.starting)
            if result.status is Status.SUCCEEDED and result.steps > done and seconds > 0:
                paces.append(seconds / (result.steps - done) / self.devices)
            done, before = result.steps, result
        paces += [slow] if len(paces) == 1 else []
        return statistics.median_low(paces) if paces else 0.0

    def _pace(self, result: Result, before: int) -> float:
        """Seconds of a step of which device-seconds and steps are known."""
        done = result.steps - before
        return (result.seconds - result.starting) / done / self.devices if done > 0 else 0.0

    def _known(self, state: State) -> _Pace | None:
        """By the newest runs; before there are any, by runs of other sweeps."""
        seeds = self.question.settings.seeds
        newest = itertools.islice(reversed(state.newest), NEWEST)
        good = [
            (trial, result)
            for trial, result in newest
            if result.status is Status.SUCCEEDED and result.seconds > 0 and not _answered(trial)
        ]
        rates = sorted(self._pace(result, seeds * trial.begin) for trial, result in good)
        if rates := [rate for rate in rates if rate > 0]:
            starting = max(_starting(*each) for each in good) / (seeds * self.devices)
            usual, slow = (rates[int(share * (len(rates) - 1))] for share in (0.5, 0.9))
            return _Pace(starting, usual * self.budget(state), slow * self.budget(state))
        return _Pace(0.0, self.past.middle, self.past.high) if self.past else None

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
    def devices(self) -> float:
        """That one run holds."""
        made = planned(self.question, _any(self.question), Mark("sweep", 0))
        return made.devices * (made.cluster.share or 1)

    @property
    def _total(self) -> int:
        config = self.question.stems[0].config
        return config.budget.within(config.data) or 0


def _answered(trial: Trial) -> bool:
    """Its runs are another's, and mostly over: what they took says nothing of a rung."""
    return bool(trial.sent) and all(sent.known for sent in trial.sent.values())


def _starting(trial: Trial, result: Result) -> float:
    """Seconds before the first step of one of its legs, on average until then."""
    return result.starting / sum(each.ended <= result.ended for each in trial.results.values())


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
        most.append(min(by_time, by_devices, question.trials, question.size, 1e9))
    return int(most[0]), int(most[1])


def _any(question: Question) -> dict[str, object]:
    """Settings in the middle of the space."""
    if question.points:
        return point(question, int(question.size) // 2)
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
    whole: float = field(init=False)  # seconds of it, as `left` counts them
    ahead: float = 0.0  # seconds until what is decided begins

    def __post_init__(self) -> None:
        self.whole = self.left(0.0) if self.window else math.inf

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
        if trial is None and len(state.trials) < FEW and (takes or 0.0) <= self.left(spent) / 10:
            return True  # the first ones may have been slow ones
        if not self.fits(state, trial, spent):
            return False  # it could not win any more
        if trial is not None or rung == self.top or self.safe(state):
            return True  # it is on its way to be the winner
        others = [self.speed.leg(state, one, self.top) for one in leaders(state, self.top + 1)]
        best = min((leg for leg in others if leg is not None), default=None)
        return takes is None or best is None or takes + self._kept(best) <= self.left(spent)

    def _kept(self, best: float) -> float:
        """Seconds kept for whoever is trained to the end first; for a second one too, should that
        fail, as far as half of the window goes."""
        return max(CARE * best, min(2 * CARE * best, RETRY * self.whole))

    def fits(self, state: State, trial: Trial | None, spent: float) -> bool:
        """The trial gets to the end in time: surely, as long as none has; then, as far as can be
        told, as one that does not will be saved. What is paid for by the second is never risked."""
        careful = self.window.device_seconds is not None
        takes = self.speed.leg(state, trial, self.top, careful)
        known = trial is None or self.safe(state)
        care = CARE if careful or not known else 1.0
        return takes is None or care * takes <= self.left(spent)

    def safe(self, state: State) -> bool:
        """Somebody is trained to the end, or on the way there."""
        return state.won(self.top) or any(trial.rung == self.top for trial in state.open())

    @property
    def top(self) -> int:
        """The rung that is the whole budget."""
        return len(self.speed.steps) - 1

    def left(self, spent: float) -> float:
        """Seconds of the window; device-seconds count as if one trial had them alone."""
        by_time = self.window.end - LEAVE - self._then if self.window.end else math.inf
        each = self.speed.devices * self.speed.question.settings.seeds
        total = self.window.device_seconds
        return min(by_time, (total - spent) / each if total else math.inf)

    @property
    def _then(self) -> float:
        """The moment for which is decided."""
        return self.clock() + self.ahead

    @contextlib.contextmanager
    def queueing(self, state: State, slots: int) -> Iterator[bool]:
        """What is decided meanwhile begins when those under way leave a slot; whether that is soon.

        However they lie, one slot has no more than its part of all, nor any of the longest.
        """
        legs = [self.speed.leg(state, trial, trial.rung) for trial in state.open()]
        known = sorted(math.inf if leg is None else leg for leg in legs)
        wait = min(sum(known) / slots, sum(known[: max(0, len(known) - slots + 1)]))
        brief = self.window.end is not None and wait < min(BRIEF, self.left(0.0) / 10)
        self.ahead = wait if brief else 0.0
        try:
            yield brief
        finally:
            self.ahead = 0.0
