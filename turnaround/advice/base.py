"""What is said about a cause of lost time, and what it is judged by.

case = Case(plan, account, facts, devices=2)
Advice("checkpoints", "checkpoint", "2,000 saves of 7 ms", ("checkpoint.every=200",), 13.9, …)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from turnaround.advice.facts import Facts
from turnaround.ledger import Account
from turnaround.spec import Plan

TRAINING = ("data", "compute", "communicate", "optimize", "log", "other")  # rows of the steps


@dataclass(frozen=True)
class Advice:
    """One cause, one change, and the seconds of wall clock that the change would have saved."""

    cause: str
    row: str  # of the ledger: the one that would shrink most
    message: str
    words: tuple[str, ...]  # to add to the run's; none where no setting helps
    saves: float  # expected
    low: float  # and between what bounds
    high: float
    command: str = ""  # to type first, where it is not a matter of words
    frees: bool = False  # the budget is a time: what is saved goes to more training


@dataclass(frozen=True)
class Case:
    """All that the rules look at."""

    plan: Plan
    account: Account
    facts: Facts
    devices: int  # of the run's kind that the machine has
    least: float = 1.0  # seconds until all is recorded, however little there is
    paces: Mapping[int, float] = field(default_factory=dict)  # seconds a step, by batch: like runs

    @property
    def rows(self) -> dict[str, float]:
        """Seconds by row."""
        return self.account.rows

    @property
    def training(self) -> float:
        """Seconds in steps."""
        return sum(self.rows[row] for row in TRAINING)

    @property
    def steps(self) -> int:
        """Of the whole run: those it took, or while it runs those it is to take."""
        if self.facts.ended:
            return max(self.facts.steps, 1)
        return max(self.facts.steps, self.plan.budget.within(self.plan.data) or 1)

    @property
    def timed(self) -> bool:
        """It trains until a time is over, however fast it is."""
        budget = self.plan.budget
        only = budget.time is not None and not (budget.steps or budget.examples)
        return self.facts.ended == "budget.time" if self.facts.ended else only

    @property
    def micro(self) -> float:
        """Examples in one forward pass."""
        readers = self.plan.layout.readers * (self.plan.update.groups or 1)
        return self.plan.data.batch / (readers * self.plan.update.accumulate)


def rarer(case: Case, count: int, few: int) -> tuple[int, int]:
    """Every how many steps, for `few` times in the run; how often that was up to now."""
    every = math.ceil(case.steps / few)
    return every, min(count, math.ceil(case.facts.steps / every))


def brief(seconds: float) -> str:
    """`7.1 ms`, `2.3 s`."""
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
