"""What came out of a sweep: the winner, what mattered, what was not done and why, what it cost.

report = made(journal, "sweep-x7k2m", importance=True)
report.winner.command             # turnaround run recipe=seq2seq optim.lr=0.0031
write(report, folder)             # report.md, report.html and their pictures
"""

from __future__ import annotations

import math
import shlex
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from turnaround.journal import Journal, Run
from turnaround.spec import Event, Status
from turnaround.sweep import outcome, search
from turnaround.sweep.heard import Heard
from turnaround.sweep.question import Question, read, words
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State, Trial


@dataclass(frozen=True)
class Line:
    """One trial, as it is told."""

    number: int
    name: str
    score: float | None
    status: str  # trained · paused · FAILED · STOPPED · unfinished
    reason: str
    steps: int
    runs: list[str]
    values: dict[str, object]
    test: dict[str, float] = field(default_factory=dict)
    spread: list[float] = field(default_factory=list)  # scores of its seeds
    command: str = ""
    lineage: str = ""  # what it was called, and until which step, where its settings changed
    curve: list[tuple[int, float]] = field(default_factory=list)  # of its first seed
    ended: float = 0.0  # seconds since the epoch


@dataclass(frozen=True)
class Report:
    """All there is to say."""

    sweep: str
    name: str | None
    asked: str  # as typed
    score: str
    rises: bool
    status: str
    reason: str
    wall: float  # seconds
    lines: list[Line]  # the best first
    total: float  # trials that were asked for; infinite when a window decided
    known: int  # runs of others, that had answered before or were at it
    device_seconds: dict[str, float]  # by row of the ledger
    alone: float | None  # device-seconds of every trial in full
    importance: dict[str, float]

    @property
    def winner(self) -> Line | None:
        """The best that was trained to the end; else the best there is."""
        scored = [line for line in self.lines if line.score is not None]
        whole = [line for line in scored if line.status == "trained"]
        return next(iter(whole or scored), None)

    @property
    def spent(self) -> float:
        """Device-seconds."""
        return sum(self.device_seconds.values())

    @property
    def speedup(self) -> float | None:
        """Against every trial in full, one after another, on the devices of one run."""
        return self.alone / self.wall if self.alone and self.wall > 0 else None

    @property
    def undone(self) -> list[Line]:
        """What was stopped, failed or not finished."""
        return [line for line in self.lines if line.status != "trained"]

    @property
    def headline(self) -> str:
        """`48 of 50 trials trained, 30 paused, 2 FAILED`."""
        count: defaultdict[str, int] = defaultdict(int)
        for line in self.lines:
            count[line.status] += 1
        trained = count.pop("trained", 0)
        total = f"{self.total:,.0f}" if math.isfinite(self.total) else f"{len(self.lines):,}"
        rest = [f"{number:,} {status}" for status, number in sorted(count.items())]
        left = self.total - len(self.lines) if math.isfinite(self.total) else 0
        rest += [f"{left:,.0f} not run"] if left > 0 else []
        return ", ".join([f"{trained:,} of {total} trials trained", *rest])


def _asked(question: Question) -> list[str]:
    """The command line, as far as it says what was to be tried."""
    points = ["--points", question.points.file] if question.points else []
    return ["turnaround", "sweep", *question.words, *points]


def made(journal: Journal, sweep: str, importance: bool = False) -> Report:
    """The report of a sweep as it stands."""
    row, question = journal.run(sweep), read(journal.folder(sweep))
    state = State(question.rises)
    events = list(journal.events(sweep))
    for event in events:
        state.add(event)
    steps = ladder(question)
    top, heard = len(steps) - 1, Heard(journal, question.score)
    lines = [_line(journal, question, trial, top) for trial in state.trials.values()]
    lines = [replace(line, curve=_curve(journal, heard, line.runs)) for line in lines]
    lines = [replace(n, lineage=_lineage(state, state.trials[n.number], steps)) for n in lines]
    lines.sort(key=lambda line: (line.status != "trained", state.badness(line.score), line.number))
    sent = [each for trial in state.trials.values() for each in trial.sent.values()]
    return Report(
        sweep=sweep,
        name=row.name,
        asked=shlex.join(_asked(question)),
        score=question.score,
        rises=question.rises,
        status=row.status,
        reason=row.reason,
        wall=_wall(events, time.time()),
        lines=lines,
        total=question.trials + state.more,
        known=sum(each.known for each in sent),
        device_seconds=_spent(heard, _ours(state)),
        alone=_alone(journal, heard, state, top),
        importance=search.importance(question, state, top) if importance else {},
    )


def _line(journal: Journal, question: Question, trial: Trial, top: int) -> Line:
    runs = [sent.run for _, sent in sorted(trial.sent.items())]
    found = {run.id: run for name in runs for run in journal.runs("id=?", [name])}
    result = trial.result
    return Line(
        number=trial.number,
        name=trial.name,
        score=trial.score,
        status=_status(trial, top),
        reason=result.reason if result else _waiting(found.values()),
        steps=result.steps // max(len(runs), 1) if result else 0,
        runs=runs,
        values=trial.values,
        test=outcome.test(found.values()) if top in trial.results else {},
        spread=[score for score in (result.scores if result else []) if score is not None],
        command=shlex.join(["turnaround", "run", *words(question, trial.values)]),
        ended=result.ended if result else 0.0,
    )


def _lineage(state: State, trial: Trial, steps: list[int | None]) -> str:
    """`lr=0.1 to step 30, lr=0.125 to step 60, then lr=0.1`; "" when nothing changed."""
    words, one = [f"then {trial.name}"], trial
    while one.parent is not None:
        until, one = steps[one.first - 1], state.trials[one.parent]
        words.insert(0, f"{one.name} to step {until}")
    return ", ".join(words) if len(words) > 1 else ""


def _curve(journal: Journal, heard: Heard, runs: list[str]) -> list[tuple[int, float]]:
    """The points of the first, after those of the run that it was forked from."""
    if not runs or not _there(journal, runs[0]):
        return []
    source, _, step = (journal.plan(runs[0]).fork or "").partition("@")
    before = _curve(journal, heard, [source]) if source else []
    return [point for point in before if point[0] <= int(step)] + heard[runs[0]].curve


def _there(journal: Journal, run: str) -> bool:
    """Nobody has removed it."""
    return (journal.folder(run) / "plan.json").exists()


def _ours(state: State) -> set[str]:
    """Runs that were made for this sweep."""
    sent = [each for trial in state.trials.values() for each in trial.sent.values()]
    trunks = {trunk.run for trunk in state.trunks.values()}
    return trunks | {each.run for each in sent if not each.known}


def _status(trial: Trial, top: int) -> str:
    if trial.open:
        return "unfinished"
    if trial.failed:
        return str(trial.results[trial.rung].status)
    return "trained" if top in trial.results else "paused"


def _waiting(runs: Iterable[Run]) -> str:
    reasons = {run.reason or str(run.status).lower() for run in runs}
    return "; ".join(sorted(reasons)) or "not begun"


def _wall(events: list[Event], now: float) -> float:
    """Seconds in which the sweep was driven; a driver that was killed was at it until its last
    word."""
    total, since, last = 0.0, None, 0.0
    for event in events:
        if event.kind == "status":
            begins = event.data["status"] == Status.RUNNING
            if since is not None:
                total += (last if begins else event.time) - since
            since = event.time if begins else None
        last = event.time
    return total + (now - since if since is not None else 0.0)


def _spent(heard: Heard, runs: set[str]) -> dict[str, float]:
    """Device-seconds by row of the ledger, of all runs together."""
    total: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        for row, seconds in heard[run].seconds.items():
            total[row] += seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _alone(journal: Journal, heard: Heard, state: State, top: int) -> float | None:
    """Device-seconds of all trials in full, each as dear as those that were trained in full and are
    still there; the later starts of one that paused would not have been."""
    trained = [[sent.run for sent in trial.sent.values()] for trial in state.whole(top)]
    whole = [
        sum(_unbroken(journal, heard, run) for run in runs)
        for runs in trained
        if all(_there(journal, run) for run in runs)
    ]
    return sum(whole) / len(whole) * len(state.trials) if whole else None


def _unbroken(journal: Journal, heard: Heard, run: str) -> float:
    """Of that run and those that it was forked from."""
    source, _, step = (journal.plan(run).fork or "").partition("@")
    if not source or not _there(journal, source):
        return heard[run].once
    share: float = int(step) / max([*heard[source].saved, int(step)])  # it may have gone on itself
    return share * _unbroken(journal, heard, source) + heard[run].once


def told(report: Report) -> Iterator[tuple[str, str]]:
    """A title and its text, for the terminal and the pages alike."""
    if report.winner is not None:
        line = report.winner
        scores = {f"valid/{report.score}": line.score, **line.test}
        yield "winner", f"trial {line.number}: {line.name or 'as asked'}"
        yield "scores", "  ".join(f"{name} {value:.4g}" for name, value in scores.items())
        if line.lineage:
            yield "settings", line.lineage
        else:
            yield "run it", line.command
    if report.importance:
        shares = (f"{key} {share:.0%}" for key, share in report.importance.items())
        yield "matters", "  ".join(shares)


def cost(report: Report) -> Iterator[tuple[str, str]]:
    """What it took, and what it saved."""
    spent = f"{_time(report.wall)} of wall clock, {_time(report.spent)} of devices"
    yield "took", spent + (f"; {report.known} runs were known" if report.known else "")
    if report.device_seconds:
        parts = [(row, s) for row, s in report.device_seconds.items() if s >= 0.01 * report.spent]
        yield "devices", "  ".join(f"{row} {_time(seconds)}" for row, seconds in parts)
    if report.speedup and report.alone:
        times = f"{report.speedup:.1f} × as long as this took" if report.speedup >= 0.05 else ""
        yield "alone", f"every trial in full, one after another: {_time(report.alone)}, {times}"


def _time(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    if hours:
        return f"{hours}h{rest // 60:02d}m"
    return f"{rest // 60}m{rest % 60:02d}s" if seconds >= 60 else f"{seconds:.1f}s"


COLUMNS = ("trial", "settings", "score", "status", "steps", "run", "why")


def rows(report: Report) -> list[list[str]]:
    """The table of all trials."""
    return [
        [
            str(line.number),
            line.name,
            "" if line.score is None else f"{line.score:.4g}",
            line.status,
            f"{line.steps:,}",
            line.runs[0] if line.runs else "",
            line.reason,
        ]
        for line in report.lines
    ]
