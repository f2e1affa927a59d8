"""`--at`, `--for`, `--by` and `--budget`: when a sweep begins and how long it may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from turnaround.sweep.question import Question
from turnaround.sweep.window import window

At = Annotated[str | None, typer.Option(metavar="22:00", help="It begins then.")]
For = Annotated[str | None, typer.Option("--for", metavar="8h", help="It ends after so long.")]
By = Annotated[str | None, typer.Option(metavar="07:00", help="It ends by then.")]
Budget = Annotated[
    str | None, typer.Option(metavar="40dev-hours", help="It spends no more than that.")
]


@dataclass(frozen=True)
class Bounds:
    """When it begins and how long it may take, as typed."""

    at: str | None
    last: str | None
    by: str | None
    budget: str | None

    def __bool__(self) -> bool:
        return any(word is not None for word in (self.at, self.last, self.by, self.budget))

    @property
    def ends(self) -> bool:
        """It does not go on until everything has been tried."""
        return any(word is not None for word in (self.last, self.by, self.budget))

    def of(self, question: Question) -> Question:
        """The question, within them."""
        found = window(self.last, self.by, self.budget, time.time(), self.at)
        return replace(question, window=found)
