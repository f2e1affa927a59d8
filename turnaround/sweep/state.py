"""How far a sweep is: what its events add up to, and nothing else.

    state = State(question.rises)
    for event in journal.events("sweep-x7k2m"):
        state.add(event)
    state.best()                  # the trial to beat
    state.open()                  # the trials of which a result is awaited

The driver keeps no other memory, so one that was killed is replaced by reading the file again.
"""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from turnaround.spec import Event, Status


@dataclass(frozen=True)
class Sent:
    """A run that tries a trial's settings."""

    run: str
    rung: int
    until: int | None  # step at which it pauses
    known: bool  # another's: it had answered, or was at it, before it was asked
    begin: int = 0  # step of the checkpoint that it was forked from


@dataclass(frozen=True)
class Trunk:
    """A run of the steps that several trials have in common."""

    run: str
    step: int  # at which it pauses
    ready: bool | None = None  # trials fork from it; false: they go alone; none: it is under way
    seconds: float = 0.0  # times devices


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
    own: float = 0.0  # of the seconds, those of runs that were made for this sweep


@dataclass
class Trial:
    """Settings, the runs that try them, and what came out."""

    number: int
    values: dict[str, Any]
    name: str
    rung: int = 0  # that it is on, or has reached
    first: int = 0  # that it began on
    parent: int | None = None  # the trial whose checkpoint it began with
    place: int | None = None  # the trial whose place in the population it took
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
    def begin(self) -> int:
        """Steps that its runs did not do themselves."""
        return max((sent.begin for sent in self.sent.values()), default=0)

    @property
    def failed(self) -> bool:
        """It ended, and without an answer."""
        return not self.open and self.results[self.rung].status is not Status.SUCCEEDED


class State:
    """The trials of a sweep."""

    def __init__(self, rises: bool) -> None:
        self.rises = rises
        self.trials: dict[int, Trial] = {}
        self.trunks: dict[str, Trunk] = {}  # by the signature of their plans
        self.newest: list[tuple[Trial, Result]] = []  # in the order in which they came
        self._open: dict[int, Trial] = {}  # trials of which a result is awaited
        self._boards: dict[int, dict[int, list[tuple[float, int]]]] = {}  # by rung and first rung
        self.more = 0  # trials added to those asked for
        self.told = 0  # results so far

    def add(self, event: Event) -> None:
        """One more event of the sweep."""
        data = event.data
        match event.kind:
            case "trial":
                self._begin(data)
            case "rung":
                trial = self.trials[data["number"]]
                trial.rung = data["rung"]
                self._open[trial.number] = trial
            case "sent":
                fields = (data["run"], data["rung"], data["until"], data["known"])
                made = Sent(*fields, data.get("begin", 0))
                self.trials[data["number"]].sent[data["seed"]] = made
            case "trunk":
                self.trunks[data["key"]] = Trunk(data["run"], data["step"])
            case "trunked":
                trunk = self.trunks[data["key"]]
                told = {"ready": data["ready"], "seconds": data["seconds"]}
                self.trunks[data["key"]] = replace(trunk, **told)
            case "result":
                self._take(data, event.time)
            case "again":
                self._again(self.trials[data["number"]], data["runs"])
            case "more":
                self.more += data["trials"]

    def open(self) -> list[Trial]:
        """Trials of which a result is awaited."""
        return list(self._open.values())

    def whole(self, top: int) -> list[Trial]:
        """Trials that were trained to the end and scored, the best first."""
        return [trial for trial in self.at(top) if trial.results[top].score is not None]

    def at(self, rung: int) -> Iterator[Trial]:
        """Trials that have a result on that rung, the best first."""
        ranked = heapq.merge(*self._boards.get(rung, {}).values())
        return (self.trials[number] for _, number in ranked)

    def brackets(self, rung: int) -> Iterator[tuple[int, Iterator[Trial]]]:
        """The same, for trials that began on the same rung, with how many they are."""
        for _, board in sorted(self._boards.get(rung, {}).items()):
            yield len(board), (self.trials[number] for _, number in board)

    def best(self, top: int) -> Trial | None:
        """The trial to beat: one that was trained to the end, if there is any."""
        if self.won(top):  # a look at the first: there may be thousands
            return next(self.at(top))
        scored = self.ranked(self.trials.values())
        return scored[0] if scored else None

    def won(self, top: int) -> bool:
        """Somebody was trained to the end and scored."""
        best = next(self.at(top), None)
        return best is not None and best.results[top].score is not None

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

    def _begin(self, data: dict[str, Any]) -> None:
        rung = data.get("rung", 0)
        lineage = (data.get("parent"), data.get("place"))
        fields = (data["number"], data["values"], data["name"], rung, rung)
        trial = Trial(*fields, *lineage)
        self.trials[trial.number] = self._open[trial.number] = trial

    def _take(self, data: dict[str, Any], when: float) -> None:
        fields = (data["score"], data["reason"], data["steps"], data["seconds"], when)
        own = data.get("own", data["seconds"])
        more = (data.get("scores", []), data.get("starting", 0.0), own)
        result = Result(Status(data["status"]), *fields, *more)
        trial, rung = self.trials[data["number"]], data["rung"]
        self._drop(trial, rung)
        trial.results[rung] = result
        board = self._boards.setdefault(rung, {}).setdefault(trial.first, [])
        bisect.insort(board, (self.badness(result.score), trial.number))
        if not trial.open:
            self._open.pop(trial.number, None)
        self.newest.append((trial, result))
        self.told += 1

    def _drop(self, trial: Trial, rung: int) -> None:
        """Its result on that rung counts no more, if there was one."""
        if result := trial.results.pop(rung, None):
            self._boards[rung][trial.first].remove((self.badness(result.score), trial.number))

    def _again(self, trial: Trial, runs: list[str]) -> None:
        """The runs that failed are forgotten; the others keep their answers."""
        self._drop(trial, trial.rung)
        self._open[trial.number] = trial
        trial.sent = {nth: sent for nth, sent in trial.sent.items() if sent.run not in runs}
