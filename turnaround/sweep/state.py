"""How far a sweep is: what its events add up to, and nothing else.

    state = State(question.rises)
    for event in journal.events("sweep-x7k2m"):
        state.add(event)
    state.best()                  # the trial to beat
    state.open()                  # the trials of which a result is awaited

The driver keeps no other memory, so one that was killed is replaced by reading the file again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from turnaround.spec import Event, Status


@dataclass(frozen=True)
class Sent:
    """A run that tries a trial's settings."""

    run: str
    rung: int
    until: int | None  # step at which it pauses
    known: bool  # it had answered before it was asked


@dataclass(frozen=True)
class Result:
    """What became of a trial on one rung."""

    status: Status
    score: float | None  # mean over seeds; none: failed, never reported or not finite
    reason: str
    steps: int
    seconds: float  # times devices, of all its runs so far
    ended: float  # seconds since the epoch
    scores: list[float | None] = field(default_factory=list)  # of each seed
    starting: float = 0.0  # of the seconds, before first steps


@dataclass
class Trial:
    """Settings, the runs that try them, and what came out."""

    number: int
    values: dict[str, Any]
    name: str
    rung: int = 0  # that it is on, or has reached
    sent: dict[int, Sent] = field(default_factory=dict)  # by seed
    results: dict[int, Result] = field(default_factory=dict)  # by rung

    @property
    def open(self) -> bool:
        """A result is awaited."""
        return self.rung not in self.results

    @property
    def result(self) -> Result | None:
        """The newest."""
        return self.results[max(self.results)] if self.results else None

    @property
    def score(self) -> float | None:
        """The newest."""
        return self.result.score if self.result else None

    @property
    def failed(self) -> bool:
        """It ended, and without an answer."""
        return not self.open and self.results[self.rung].status is not Status.SUCCEEDED


class State:
    """The trials of a sweep."""

    def __init__(self, rises: bool) -> None:
        self.rises = rises
        self.trials: dict[int, Trial] = {}
        self.more = 0  # trials added to those asked for
        self.told = 0  # results so far

    def add(self, event: Event) -> None:
        """One more event of the sweep."""
        data = event.data
        match event.kind:
            case "trial":
                self.trials[data["number"]] = Trial(data["number"], data["values"], data["name"])
            case "rung":
                self.trials[data["number"]].rung = data["rung"]
            case "sent":
                fields = (data["run"], data["rung"], data["until"], data["known"])
                self.trials[data["number"]].sent[data["seed"]] = Sent(*fields)
            case "result":
                self._take(data, event.time)
            case "again":
                self._again(self.trials[data["number"]], data["runs"])
            case "more":
                self.more += data["trials"]

    def open(self) -> list[Trial]:
        """Trials of which a result is awaited."""
        return [trial for trial in self.trials.values() if trial.open]

    def whole(self, top: int) -> list[Trial]:
        """Trials that were trained to the end and scored, the best first."""
        return self.ranked(trial for trial in self.trials.values() if top in trial.results)

    def best(self, top: int) -> Trial | None:
        """The trial to beat: one that was trained to the end, if there is any."""
        scored = self.whole(top) or self.ranked(self.trials.values())
        return scored[0] if scored else None

    def ranked(self, trials: Any) -> list[Trial]:
        """Those that have a score, the best first; of equals the earlier one."""
        scored = [trial for trial in trials if trial.score is not None]
        return sorted(scored, key=lambda trial: (self.badness(trial.score), trial.number))

    def badness(self, score: float | None) -> float:
        """Lower is better; without a score it is the worst there is."""
        return math.inf if score is None else -score if self.rises else score

    def runs(self) -> Iterator[str]:
        """Every run, once."""
        yield from dict.fromkeys(
            s.run for trial in self.trials.values() for s in trial.sent.values()
        )

    def _take(self, data: dict[str, Any], when: float) -> None:
        fields = (data["score"], data["reason"], data["steps"], data["seconds"], when)
        more = (data.get("scores", []), data.get("starting", 0.0))
        result = Result(Status(data["status"]), *fields, *more)
        self.trials[data["number"]].results[data["rung"]] = result
        self.told += 1

    def _again(self, trial: Trial, runs: list[str]) -> None:
        """The runs that failed are forgotten; the others keep their answers."""
        trial.results.pop(trial.rung, None)
        trial.sent = {nth: sent for nth, sent in trial.sent.items() if sent.run not in runs}
