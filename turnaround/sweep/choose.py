"""What a sweep does next: a pure function of what was asked, what is known, and the time.

    chooser = Chooser(question, steps, watch)
    move = chooser.next(state, spent=0.0)      # Begin(…), Rise(…), or none: nothing goes

The driver carries moves out, and so does `scripts/bench/windows`, on a clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turnaround.sweep import population
from turnaround.sweep.question import Question
from turnaround.sweep.rungs import ahead, bracket, promoted, spared, waiting
from turnaround.sweep.search import proposed
from turnaround.sweep.state import State, Trial
from turnaround.sweep.window import Watch


@dataclass(frozen=True)
class Begin:
    """A new trial."""

    number: int
    values: dict[str, Any]
    rung: int = 0  # to which it is trained first
    parent: int | None = None  # with whose checkpoint it begins
    place: int | None = None  # whose place in the population it takes


@dataclass(frozen=True)
class Rise:
    """A trial goes on."""

    number: int
    rung: int


Move = Begin | Rise


class Short(Exception):
    """There is more to do, and no time for it."""


@dataclass
class Chooser:
    """The rules."""

    question: Question
    steps: list[int | None]  # at which rungs end
    watch: Watch

    @property
    def top(self) -> int:
        """The rung that is the whole budget."""
        return len(self.steps) - 1

    def next(self, state: State, spent: float) -> Move | None:
        """The trial that goes on, or begins; none when there is none or nothing more fits."""
        try:
            bred = self.question.settings.name == "pbt"
            found = self._bred(state, spent) if bred else self._halved(state, spent)
            return found or self._only(state)
        except Short:
            return self._deep(state, spent) or self._filler(state)

    # ── while there is time ──

    def _halved(self, state: State, spent: float) -> Move | None:
        """Promotion before breadth."""
        late = False
        for trial in promoted(state, len(self.steps), self.question.settings.eta):
            if self._room(state, trial, trial.rung + 1, spent):
                return Rise(trial.number, trial.rung + 1)
            late = True  # it is a slow one
        begun = self._begun(state, spent)
        if begun is None and late:
            raise Short
        return begun

    def _begun(self, state: State, spent: float) -> Begin | None:
        """A new trial."""
        number, asked = len(state.trials), self.question.settings
        if number >= self._most(state):
            return None
        rung = bracket(number, len(self.steps), asked.eta) if asked.name == "hyperband" else 0
        if not self._room(state, None, rung, spent):
            raise Short
        values = proposed(self.question, state, number, self.top)
        return None if values is None else Begin(number, values, rung)

    def _bred(self, state: State, spent: float) -> Move | None:
        """The population is filled, and then goes on together."""
        if len(population.founders(state)) < self.question.trials + state.more:
            return self._begun(state, spent)
        step = population.step(self.question, state, self.top)
        if step is None:
            return None
        if not self._room(state, state.trials[step.trial], step.rung, spent):
            raise Short
        if step.values is None:
            return Rise(step.trial, step.rung)
        return Begin(len(state.trials), step.values, step.rung, step.trial, step.place)

    def _only(self, state: State) -> Rise | None:
        """When everything has been tried: the best is trained to the end, unless one was."""
        if state.open() or state.won(self.top):
            return None  # what is open may be better
        best = next(waiting(state, len(self.steps)), None)
        return Rise(best.number, self.top) if best else None

    def _most(self, state: State) -> float:
        """Trials there may be, without copies."""
        return min(self.question.trials + state.more, self.question.size)

    def _room(self, state: State, trial: Trial | None, rung: int, spent: float) -> bool:
        return not self.watch.window or self.watch.room(state, trial, rung, spent)

    # ── when it gets short ──

    def _deep(self, state: State, spent: float) -> Rise | None:
        """Somebody has to get to the end: first whoever is ahead of the others, rung by rung while
        there is time. After that rungs let more through: the best of each, then the second."""
        able = (
            trial
            for trial in spared(state, len(self.steps))
            if self.watch.fits(state, trial, spent)
        )
        if self.watch.safe(state):
            best = next(able, None)
            return Rise(best.number, best.rung + 1) if best else None
        if best := ahead(state, able):
            return Rise(best.number, self.top)
        best = next(waiting(state, len(self.steps)), None)  # it may not arrive, but nobody else can
        return Rise(best.number, self.top) if best else None

    def _filler(self, state: State) -> Move | None:
        """What will not end in time, but saves then and goes on in another night: devices that idle
        are of no use to anybody. Those that were paid for are spared."""
        if self.watch.window.device_seconds is not None or not self.watch.safe(state):
            return None
        if best := next(waiting(state, len(self.steps)), None):
            return Rise(best.number, best.rung + 1)
        number = len(state.trials)
        if number >= self._most(state):
            return None
        values = proposed(self.question, state, number, self.top)
        return None if values is None else Begin(number, values)
