"""What became of a run, in the terms of its sweep.

end = of(journal, run, score="bleu", rises=True, until=None)
end.status, end.score, end.steps, end.seconds
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from turnaround.journal import Journal, Run
from turnaround.ledger import settle
from turnaround.spec import Event, Status

STARTS = ("place", "spawn", "import", "rendezvous", "build", "recover")  # rows of the ledger
TOGETHER = "together"  # the tag of runs that were trained as one: how many
_RANK = (Status.FAILED, Status.STOPPED, Status.SUCCEEDED)  # what a trial is when one of its runs is


@dataclass(frozen=True)
class End:
    """One run, on one rung."""

    status: Status
    score: float | None
    reason: str
    steps: int
    seconds: float  # times devices
    starting: float = 0.0  # of them, before first steps: what a longer run does not pay again


def of(
    journal: Journal, run: Run, score: str, rises: bool, until: int | None, newest: bool = False
) -> End:
    """How the run ended; one that paused where it should has succeeded, if it has a score.

    It is judged by its best so far; by its newest where others go on from what it has come to.
    """
    whole = run.status is Status.SUCCEEDED
    if whole and (until is None or run.summary.get("steps", 0) <= until):
        found = run.summary.get("values", {}).get(f"valid/{score}")
        return _judged(run, score, found, run.summary.get("steps", 0), _held(journal, run))
    known = [*journal.events(run.id)] if run.attempt else []
    points = [value for _, value in curve(known, score, until)]
    steps = max((event.data["step"] for event in known if event.kind == "metrics"), default=0)
    paused = until is not None and (whole or (run.exit_code == 75 and steps >= until))
    best = (max if rises else min)(filter(math.isfinite, points), default=None)
    if paused and run.status in (Status.STOPPED, Status.SUCCEEDED):
        found = points[-1] if newest and points else best
        end = _judged(run, score, found, min(steps, until or steps), _held(journal, run, known))
        spent = settle(known, run.ended or run.submitted, devices(run)).device_seconds
        return replace(end, starting=sum(spent.get(row, 0.0) for row in STARTS))
    reason = run.reason or str(run.status).lower()
    return End(run.status, None, reason, steps, _held(journal, run, known))


def paused(journal: Journal, run: Run) -> bool:
    """It was stopped by nobody: it has reached the step at which its plan pauses."""
    until = journal.plan(run.id).until
    if until is None or run.exit_code != 75:
        return False
    steps = (event.data["step"] for event in journal.events(run.id) if event.kind == "checkpoint")
    return max(steps, default=0) >= until


def curve(events: Iterable[Event], score: str, until: int | None = None) -> list[tuple[int, float]]:
    """(step, score on the valid split), up to a step."""
    return [
        (event.data["step"], float(event.data["values"][score]))
        for event in events
        if event.kind == "metrics"
        and event.data["split"] == "valid"
        and score in event.data["values"]
        and (until is None or event.data["step"] <= until)
    ]


def together(ends: Sequence[End]) -> dict[str, Any]:
    """Fields of the event `result`: the mean over seeds, of which none may be missing."""
    worst = min(ends, key=lambda end: _RANK.index(end.status))
    scores = [end.score for end in ends]
    numbers = [score for score in scores if score is not None]
    mean = sum(numbers) / len(numbers) if len(numbers) == len(ends) else None
    return {
        "status": worst.status,
        "score": mean,
        "reason": worst.reason,
        "steps": sum(end.steps for end in ends),
        "seconds": sum(end.seconds for end in ends),
        "starting": sum(end.starting for end in ends),
        "scores": scores,
    }


def test(runs: Iterable[Run]) -> dict[str, float]:
    """Means over the runs of what they scored on the test split."""
    found = [run.summary.get("values", {}) for run in runs]
    names = [name for name in (found[0] if found else {}) if name.startswith("test/")]
    return {
        name: sum(values[name] for values in found) / len(found)
        for name in names
        if all(name in values for values in found)
    }


def gone(run: str) -> Run:
    """What stands in for a run that somebody removed."""
    texts = ("recipe", "experiment", "project", "signature", "cluster", "tracking", "interpreter")
    numbers = ("priority", "devices", "attempt", "failures", "submitted")
    none = ("name", "started", "ended", "exit_code")
    fields: dict[str, Any] = {
        **dict.fromkeys(texts, ""),
        **dict.fromkeys(numbers, 0),
        **dict.fromkeys(none),
    }
    fields |= {"tags": {}, "status": Status.FAILED, "stopping": False}
    return Run(id=run, reason="the run was removed", **fields)


def devices(run: Run) -> float:
    """That it had to itself: runs that are trained as one, or lie on one device, have a share."""
    share: float = run.asked.get("like", {}).get("share", 1.0)
    return run.devices * share / int(run.tags.get(TOGETHER, 1))


def gain(events: Iterable[Event]) -> float:
    """How many times as long its steps would have taken by itself, as its gate measured."""
    told = (event.data.get("gain") for event in events if event.kind == "worker")
    return next((float(found) for found in told if found), 1.0)


def held(events: Iterable[Event], devices: float) -> float:
    """Device-seconds, from the starts of attempts to their ends."""
    total, since = 0.0, None
    for event in events:
        if event.kind != "status":
            continue
        if event.data["status"] in (Status.PENDING, Status.RUNNING):
            since = event.time if since is None else since
        elif since is not None:
            total, since = total + event.time - since, None
    return devices * total


def _judged(run: Run, score: str, found: float | None, steps: int, seconds: float) -> End:
    if found is None:
        reason = f"it never reported {score} on the valid split, or nothing finite"
        return End(Status.FAILED, None, reason, steps, seconds)
    if not math.isfinite(found):
        return End(Status.FAILED, None, f"{score} is {found}", steps, seconds)
    return End(Status.SUCCEEDED, found, "", steps, seconds)


def _held(journal: Journal, run: Run, events: Sequence[Event] | None = None) -> float:
    if run.attempt == 1 and run.started and run.ended:
        return devices(run) * (run.ended - run.started)
    return held(events if events is not None else journal.events(run.id), devices(run))
