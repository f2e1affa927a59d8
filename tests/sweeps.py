"""Sweeps without a pool: a hand that answers by a formula, on a clock of the test's own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from turnaround.config import project_root
from turnaround.journal import Journal, Run, new_id
from turnaround.spec import Cluster, Event, Inventory, Plan, Status
from turnaround.sweep import ask
from turnaround.sweep.drive import Driver
from turnaround.sweep.entry import enter
from turnaround.sweep.question import Question, Settings, Window
from turnaround.sweep.send import begin

WORDS = ["recipe=steady", "cluster.device=cpu", "tracking=none", "budget.steps=90"]
Score = Callable[[Plan, int], float]  # of a plan after so many steps


def bowl(plan: Plan, step: int) -> float:
    """A loss that is least at a learning rate of 0.1, and falls with the steps."""
    return abs(math.log10(plan.optim.lr) + 1) + 1 / step


def asked(
    project: Path, home: Path, *words: str, window: Window | None = None, **settings: Any
) -> Question:
    """What `turnaround sweep recipe=steady …` asks in that project."""
    own = Settings(**settings)
    made = ask.ask([*WORDS, *words], own, project_root(project), home)
    return replace(made, words=[*WORDS, *words], window=window or Window())


@dataclass
class Hand:
    """Carries runs out in no time: a step takes a hundredth of a second on its own clock."""

    journal: Journal
    score: Score = bowl
    pause: float = 0.01  # seconds a step
    now: float = field(default_factory=time.time)
    submitted: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)  # moments at which runs are over

    def clock(self) -> float:
        """The time."""
        return self.now

    def submit(self, plan: Plan, again: bool = False) -> tuple[Run, bool]:
        """As the pool's."""
        if not again and (known := self.journal.answer(plan.signature)):
            return known, True
        run = new_id(plan.recipe.name)
        self.journal.submit(plan, run)
        self.submitted.append(run)
        self._begin(run, begin(plan))
        return self.journal.run(run), False

    def resume(self, run: str) -> None:
        """As the pool's."""
        self.resumed.append(run)
        self._begin(run, self._done(run))

    def stop(self, run: str, reason: str = "") -> None:
        """As the pool's."""
        self.ends.pop(run, None)
        self.journal.mark(run, Status.STOPPED, reason, attempt=1, exit_code=75, ended=self.now)

    def inventory(self, cluster: Cluster) -> Inventory | None:
        """Two cores."""
        return Inventory(2, 0)

    def _begin(self, run: str, step: int) -> None:
        plan = self.journal.plan(run)
        self.journal.update(run, started=self.now, ended=None, status=Status.RUNNING, attempt=1)
        steps = (plan.until or plan.budget.steps or 0) - step
        self.ends[run] = self.now + steps * self.pause

    def work(self, until: float) -> None:
        """Time goes by, to the next end of a run at most."""
        due = [run for run, end in self.ends.items() if end <= until]
        run = min(due, key=self.ends.__getitem__, default=None)
        self.now = self.ends[run] if run else until
        if run:
            self._end(run)

    def _end(self, run: str) -> None:
        del self.ends[run]
        plan = self.journal.plan(run)
        steps = plan.until or plan.budget.steps or 1
        try:
            steps_left = range(self._done(run) // 9 * 9 + 9, steps + 1, 9)
            points = {step: self.score(plan, step) for step in steps_left}
        except ArithmeticError as error:
            fields: dict[str, Any] = {"attempt": 1, "exit_code": 1, "ended": self.now}
            self.journal.mark(run, Status.FAILED, str(error), **fields)
            return
        self.journal.append(run, *(self._point(*point) for point in points.items()))
        done: dict[str, Any] = {"attempt": 1, "ended": self.now}
        if plan.until:
            self.journal.append(run, self._saved(steps))
            kept = self.journal.folder(run) / "checkpoints" / f"step-{steps:08d}"
            kept.mkdir(parents=True, exist_ok=True)
            self.journal.mark(run, Status.STOPPED, exit_code=75, **done)
            return
        values = {"valid/loss": points[steps], "test/loss": points[steps]}
        summary = {"steps": steps, "values": values}
        self.journal.mark(run, Status.SUCCEEDED, exit_code=0, summary=summary, **done)

    def _done(self, run: str) -> int:
        """The last step that was told of, by it or by the run that it was forked from."""
        told = [e.data["step"] for e in self.journal.events(run) if e.kind == "metrics"]
        return max(told, default=begin(self.journal.plan(run)))

    def _point(self, step: int, value: float) -> Event:
        data = {"step": step, "split": "valid", "values": {"loss": value}}
        return Event("metrics", data, self.now, 1)

    def _saved(self, step: int) -> Event:
        return Event("checkpoint", {"step": step, "folder": "", "best": False}, self.now, 1)


@dataclass
class Night:
    """A sweep and the hand that carries its runs out."""

    home: Path
    sweep: str
    hand: Hand

    @classmethod
    def of(cls, question: Question, home: Path, score: Score = bowl, pause: float = 0.01) -> Night:
        """It has just begun."""
        journal = Journal(home)
        sweep = enter(question, journal).id
        journal.mark(sweep, Status.RUNNING, attempt=1)
        return cls(home, sweep, Hand(journal, score, pause))

    def driver(self) -> Driver:
        """A new one, which knows what the sweep's events say."""
        return Driver(self.home, self.sweep, self.hand, self.hand.clock)

    def drive(self, enough: Callable[[Driver], bool] = lambda driver: False) -> Driver:
        """Until it is over, or enough for now."""
        driver = self.driver()
        driver.pick_up()
        for _ in range(20_000):
            if enough(driver):
                return driver
            if (why := driver.tick()) is not None:
                driver.halt(why)
                driver.end(Status.SUCCEEDED, why)
                return driver
            self.hand.work(self.hand.now + 1.0)
        raise AssertionError("it does not end")
