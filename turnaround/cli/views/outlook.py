"""How long runs will take and when those that wait will start, by what the journal remembers.

    forecast(journal, run).whole()
    waits(journal, time.time())["seq2seq-k3x9e"]       # seconds until it starts, as an interval
    ahead(progress, time.time())                       # "34s left (28–45s)"

The journal is asked by one query for a recipe, and only when there is something to say.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial

from turnaround.cli.views import units
from turnaround.cli.views.progress import Progress
from turnaround.forecast.eta import Forecast
from turnaround.forecast.guess import Guess, Interval
from turnaround.forecast.queue import Job, starts
from turnaround.forecast.seen import Seen
from turnaround.journal import Journal, Run, read_events
from turnaround.pool.machines import inventory, read
from turnaround.pool.places import Places, read_record
from turnaround.pool.queue.lengths import Lengths
from turnaround.spec import Cluster, Event, Inventory, Status

REACH = 1 << 16  # bytes of an event file: its last 300 events or so tell how far a run is
LONGEST = 64  # runs of a queue that are looked at: 1 ms each


def forecast(journal: Journal, run: Run) -> Forecast:
    """Of one run; the journal is asked when it has something to say."""
    return Forecast(run.asked, partial(journal.history, run.recipe), time.time())


def waits(journal: Journal, now: float, queued: Sequence[Run] | None = None) -> dict[str, Interval]:
    """Seconds until the waiting runs of the pool start; without those of which nobody can say.

    `queued` are the first of them, in the order in which they go.
    """
    record = read_record(Places(journal.root))
    if record is None or not record.alive:
        return {}
    have = inventory(read(Places(journal.root), record), Cluster())
    if queued is None:
        order = journal.first(LONGEST)
        rows = {run.id: run for run in journal.some(order)}
        queued = [rows[id] for id in order if id in rows]
    runs = [*journal.active(), *queued[:LONGEST]]
    lengths = Lengths(journal, lambda: now)
    jobs = [_job(journal, run, have, lengths) for run in runs]
    return starts({"cpu": have.cpus, "cuda": have.gpus}, jobs)


def ahead(progress: Progress, now: float) -> str:
    """What is to come: `34s left (28–45s)`; or `starts in 20s (9–40s), takes 34s (28–45s)`."""
    left = progress.left(now)
    if progress.status != Status.QUEUED:
        return told(left) if left else ""
    words = [soon(progress.wait)] if progress.wait else []
    words += [f"takes {_between(left)}"] if left else []
    return ", ".join(words)


def told(left: Interval) -> str:
    """`34s left (28–45s)`."""
    return _between(left).replace(" ", " left ", 1)


def soon(wait: Interval) -> str:
    """`starts in 34s (28–45s)`."""
    return f"starts in {_between(wait)}"


def _between(seconds: Interval) -> str:
    return f"{units.duration(seconds.middle)} ({units.interval(seconds.low, seconds.high)})"


def _job(journal: Journal, run: Run, have: Inventory, lengths: Lengths) -> Job:
    like = run.asked.get("like", {})
    kind = "cuda" if like.get("device") == "cuda" else "cpu"
    each = (1 if kind == "cuda" else like.get("threads") or 1) * like.get("share", 1)
    need = min(run.devices * each, have.count(kind))
    running = run.status is not Status.QUEUED
    if not run.attempt:  # trials that ask for the same take as long: the journal is asked once
        whole = lengths.of(run)
        return Job(run.id, kind, need, whole.guess() if whole else None, running)
    seen = Seen()
    for event in _latest(journal, run):
        seen.add(event)
    return Job(run.id, kind, need, _takes(forecast(journal, run), seen, lengths.now()), running)


def _latest(journal: Journal, run: Run) -> Iterator[Event]:
    """The end of the run's events; nothing of one that has not begun."""
    file = journal.folder(run.id) / "events.jsonl"
    if not run.attempt or not file.exists():
        return
    for event, _ in read_events(file, max(0, file.stat().st_size - REACH)):
        yield event


def _takes(forecast: Forecast, seen: Seen, now: float) -> Guess | None:
    """From now to its end, as a guess again; from its start for one that waits."""
    if seen.at is None:
        return forecast.guess(seen)
    left = forecast.left(seen, now)
    return left.guess() if left else None
