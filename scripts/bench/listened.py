"""Runs in this process whose every measurement of the gradient's norms is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from turnaround import config, journal, plan
from turnaround.engine.metrics import Mean
from turnaround.engine.noise import Estimate, Listener
from turnaround.engine.pace import Progress
from turnaround.launch import base, facts, inline

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Heard:
    """One step's: its mean loss, and the squared norms of the mean gradient of part and whole."""

    step: int
    loss: float
    small: float
    large: float
    part: float  # examples
    whole: float


def listened(words: list[str], home: Path, project: Path = HERE) -> tuple[str, list[Heard]]:
    """A run's id, and what was heard in it; two micro-batches, unless the words say more."""
    kept: list[Heard] = []
    common = ["cluster=inline", "cluster.threads=1", "tracking=none", "update.accumulate=2"]
    asked = config.compose([*common, *words], project, home)
    planned = plan.make(asked, facts.gather(asked, project, facts.inventory()))
    frozen = base.frozen(planned, asked.recipe_file, home)
    book = journal.Journal(home)
    mine = (Listener.__call__, Estimate.add)
    Listener.__call__, Estimate.add = _listening(kept, *mine)  # type: ignore[method-assign]  # the one place where all of it passes
    try:
        if code := inline.run(frozen, book, lambda event: None):
            raise SystemExit(code)
    finally:
        Listener.__call__, Estimate.add = mine  # type: ignore[method-assign]  # put back
    return book.runs("recipe=?", [planned.recipe.name], 1)[0].id, kept


def valid(home: Path, run: str) -> list[tuple[int, dict[str, float]]]:
    """Steps and scores of its evaluations."""
    events = journal.Journal(home).events(run)
    found = [e.data for e in events if e.kind == "metrics" and e.data["split"] == "valid"]
    return [(data["step"], data["values"]) for data in found]


Call = Callable[[Listener, Progress, int, Callable[[], Mean]], Mean]
Add = Callable[[Estimate, float, float, float, float], None]


def _listening(kept: list[Heard], call: Call, add: Add) -> tuple[Call, Add]:
    """The same two, which put down what passes."""
    last: list[tuple[float, float, float, float]] = []

    def heard(self: Listener, now: Progress, size: int, gradients: Callable[[], Mean]) -> Mean:
        loss = call(self, now, size, gradients)
        while last:
            kept.append(Heard(now.step, float(loss.sum) / float(loss.count), *last.pop()))
        return loss

    def added(self: Estimate, small: float, large: float, part: float, whole: float) -> None:
        last.append((small, large, part, whole))
        add(self, small, large, part, whole)

    return heard, added
