"""What a run's events tell besides its account: how often it did what, and how its ranks compare.

facts = gather(journal.events(run))
facts.saves, facts.looks          # 2000, 10
facts.ranks[1]["communicate"]     # seconds that rank 1 waited for the others
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from turnaround.spec import Event, Status


@dataclass
class Facts:
    """Counts over all attempts, filled while events are read."""

    steps: int = 0
    examples: int = 0
    corpus: float = 0.0  # examples of the train split; 0 where no event tells
    looks: int = 0  # evaluations on the valid split
    saves: int = 0  # checkpoints to go on from
    bests: int = 0  # checkpoints of the best parameters
    scored: int = 0  # numbers said about the valid split
    drawn: int = 0  # numbers of the training curve
    recording: float = 0.0  # seconds from the end of the run until MLflow had all of it,
    files: float = 0.0  # and of these for pictures and texts
    ended: str = ""  # the knob that ended training
    words: list[str] | None = None  # that it was asked with; none where nobody noted them
    places: dict[int, str] = field(default_factory=dict)  # of each rank: host and device
    ranks: dict[int, dict[str, float]] = field(default_factory=dict)  # rows of the last attempt
    attempt: int = 0  # whose rows these are
    over: float | None = None  # when it ended

    @property
    def names(self) -> float:
        """Scores in an evaluation."""
        return self.scored / max(self.looks, 1)


def gather(events: Iterable[Event]) -> Facts:
    """The facts of a run's events."""
    facts = Facts()
    for event in events:
        if fold := _FOLDS.get(event.kind):
            fold(facts, event)
    return facts


def _spans(facts: Facts, event: Event) -> None:
    facts.words = event.data.get("words") or facts.words  # to resume takes none


def _status(facts: Facts, event: Event) -> None:
    status = Status(event.data["status"])
    facts.over = event.time if status.over else None


def _worker(facts: Facts, event: Event) -> None:
    facts.places[event.rank] = f"{event.data['device']} of {event.data['host']}"


def _metrics(facts: Facts, event: Event) -> None:
    data = event.data
    facts.steps = max(facts.steps, data["step"])
    facts.examples = max(facts.examples, data.get("examples", 0))
    if data.get("epoch"):
        facts.corpus = data["examples"] / data["epoch"]
    if data["split"] == "valid":
        facts.looks += 1
        facts.scored += len(data["values"])
    elif data["split"] == "train":
        facts.drawn += len(data["values"])


def _checkpoint(facts: Facts, event: Event) -> None:
    if event.data["best"]:
        facts.bests += 1
    else:
        facts.saves += 1


def _summary(facts: Facts, event: Event) -> None:
    facts.steps = max(facts.steps, event.data["steps"])
    facts.ended = event.data.get("stopped") or ""


def _ledger(facts: Facts, event: Event) -> None:
    if event.attempt > facts.attempt:
        facts.attempt, facts.ranks = event.attempt, {}
    facts.ranks[event.rank] = event.data["rows"]


def _recorded(facts: Facts, event: Event) -> None:
    if facts.over:
        facts.recording = max(0.0, event.time - facts.over)
        facts.files = event.data.get("files", 0.0)


_FOLDS: dict[str, Callable[[Facts, Event], None]] = {
    "spans": _spans,
    "status": _status,
    "worker": _worker,
    "metrics": _metrics,
    "checkpoint": _checkpoint,
    "summary": _summary,
    "ledger": _ledger,
    "recorded": _recorded,
}
