"""A sweep on a clock of its own: the same decisions, of runs that are only imagined.

    night = Stage(question, 2, even(question, seconds), begin=now).play()
    night.reached(3)              # [44, 14, 5]: trials that got to each rung
    night.ended, night.idle       # when it was over; the share of device time that was not used

`turnaround sweep` says by it what fits in a window; `scripts/bench/windows` tries the decisions.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from turnaround.spec import Event, Status
from turnaround.sweep.choose import Begin, Chooser, Move, Rise
from turnaround.sweep.question import Question
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State, Trial
from turnaround.sweep.window import LEAVE, Speed, Watch


@dataclass(frozen=True)
class Leg:
    """What a trial does from one rung to the next."""

    seconds: float
    starting: float  # of them, before its first step
    score: float | None  # none: it fails


Act = Callable[[Trial, int, int], Leg]  # from a step to another


@dataclass
class Night:
    """What came of it."""

    state: State
    begin: float
    ended: float = 0.0
    last: float = 0.0  # moment at which the last run had stopped
    busy: float = 0.0  # device-seconds
    cut: dict[int, float] = field(default_factory=dict)  # trial that was stopped → share of its leg
    slots: int = 1

    @property
    def idle(self) -> float:
        """The share of device time until it was over in which nothing ran."""
        whole = self.slots * (self.ended - self.begin)
        return max(0.0, 1 - self.busy / whole) if whole > 0 else 0.0

    def reached(self, rungs: int) -> list[int]:
        """How many trials got to each rung."""
        ended = [trial.results for trial in self.state.trials.values()]
        return [sum(any(k >= rung for k in each) for each in ended) for rung in range(rungs)]


@dataclass
class Stage:
    """One night while it is played."""

    question: Question
    slots: int
    act: Act
    begin: float
    stopping: float = 0.0  # seconds that runs take to save and stop
    limit: float | None = None  # moment at which all is stopped, whatever the window
    now: float = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.begin
        self.steps = ladder(self.question)
        self.whole = whole(self.question)
        speed = Speed(self.question, self.steps, None)
        self.watch = Watch(self.question.window, speed, lambda: self.now)
        self.chooser = Chooser(self.question, self.steps, self.watch)
        self.night = Night(State(self.question.rises), self.begin, slots=self.slots)
        self._due: list[tuple[float, int, float, Leg]] = []  # end, trial, begin, what

    def play(self) -> Night:
        """Until it is over."""
        night = self.night
        night.ended = night.last = self.now
        while not self.watch.over(self._spent()):
            self._fill()
            if not self._due:
                break
            if self._due[0][0] > self._end:
                self.now = self._end
                break
            self._settle(*heapq.heappop(self._due))
        night.ended = night.last = self.now
        for end, number, begun, _ in self._due:
            night.last = self.now + self.stopping
            night.busy += self.now - begun
            night.cut[number] = (self.now - begun) / (end - begun)
        return night

    @property
    def _end(self) -> float:
        """When whatever still runs is stopped."""
        end = self.question.window.end
        known = math.inf if end is None else end - LEAVE
        return known if self.limit is None else min(known, self.limit)

    def _fill(self) -> None:
        while len(self._due) < self.slots:
            move = self.chooser.next(self.night.state, self._spent())
            if move is None:
                return
            self._begin(move)

    def _begin(self, move: Move) -> None:
        state = self.night.state
        if isinstance(move, Rise):
            self._say("rung", number=move.number, rung=move.rung)
        elif isinstance(move, Begin):
            lineage = {"rung": move.rung, "parent": move.parent, "place": move.place}
            self._say("trial", number=move.number, values=move.values, name="", **lineage)
        trial = state.trials[move.number]
        leg = self.act(trial, self.begins(trial), self.steps[trial.rung] or self.whole)
        heapq.heappush(self._due, (self.now + leg.seconds, trial.number, self.now, leg))

    def begins(self, trial: Trial) -> int:
        """The step at which its next leg begins."""
        before = max(trial.results, default=-1 if trial.parent is None else trial.first - 1)
        return (self.steps[before] or self.whole) if before >= 0 else 0

    def _settle(self, end: float, number: int, begun: float, leg: Leg) -> None:
        self.now = end
        self.night.busy += end - begun
        trial = self.night.state.trials[number]
        had = (trial.result.seconds, trial.result.starting) if trial.result else (0.0, 0.0)
        self._say(
            "result",
            number=number,
            rung=trial.rung,
            status=Status.SUCCEEDED if leg.score is not None else Status.FAILED,
            score=leg.score,
            reason="",
            steps=self.steps[trial.rung] or self.whole,
            seconds=had[0] + leg.seconds,
            starting=had[1] + leg.starting,
        )

    def _spent(self) -> float:
        """Device-seconds, with what those under way have still to spend."""
        if self.question.window.device_seconds is None:
            return 0.0
        return self.night.busy + sum(leg.seconds for *_, leg in self._due)

    def _say(self, kind: str, **data: object) -> None:
        self.night.state.add(Event(kind, data, self.now))


def even(question: Question, seconds: float) -> Act:
    """Runs that all take the same time, with scores that say nothing."""
    pace = seconds / whole(question)
    return lambda trial, begin, end: Leg(pace * (end - begin), 0.0, float(trial.number))


def whole(question: Question) -> int:
    """Steps of a run in full; 1 where they are not planned."""
    config = question.stems[0].config
    return config.budget.within(config.data) or 1


def unguided(question: Question) -> Question:
    """The same with settings by chance, which cost no time to draw."""
    asked = question.settings
    plain = replace(asked, name="random") if asked.name == "tpe" else asked
    return replace(question, settings=replace(plain, sampler="random"))
