"""One run's way into MLflow: from its event file, in batches, each exactly once.

How far it is stands in `tracking.json` in the run's folder, written before the run is made in
MLflow and after each batch. A recorder that dies between the two finds the run by its tag, or sends
the last batch again, and MLflow keeps one of each.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mlflow.entities import Run as Found

from turnaround.journal import Journal, Run, read_events
from turnaround.ledger import Account, settle
from turnaround.spec import Event
from turnaround.tracking import artifacts
from turnaround.tracking.machine import Reading
from turnaround.tracking.params import STATUS, key, life, params, tags
from turnaround.tracking.start import where
from turnaround.tracking.store import Point, Store

BATCH = 500  # events; MLflow writes 1,000 metrics in 0.1 s and refuses requests above 1 MB
READINGS = 10_000  # readings of the machine that are kept while MLflow is away (27 hours)


@dataclass
class Progress:
    """How far a run has come into MLflow."""

    experiment_id: str = ""
    run_id: str = ""  # none: it is about to be made there, or has just been
    attempt: int | None = None  # whose params, tags and first files are there
    status: str = ""
    offset: int = 0  # bytes of the event file
    steps: dict[str, int] = field(default_factory=dict)  # metric → its last step


@dataclass
class Page:
    """What is written in one go, and how far the run is then."""

    points: list[Point] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    then: dict[str, Any] = field(default_factory=dict)  # fields of its `Progress`
    files: float = 0.0  # seconds that the files of its end took; the rest is for numbers


class Follower:
    """Brings one run of the journal into MLflow."""

    def __init__(self, journal: Journal, run: str) -> None:
        self.journal = journal
        self.folder = journal.folder(run)
        self.looked = 0.0  # when it was last advanced
        self._file = self.folder / "events.jsonl"
        self._receipt = self.folder / "tracking.json"
        self.progress = _load(self._receipt)
        self.store: Store | None = None  # in which the run is known to be
        self._there: Found  # the run, as it was found or made
        self._params: dict[str, str] = {}  # that are there
        self._tags: dict[str, str] = {}
        self._readings: deque[list[Point]] = deque(maxlen=READINGS)
        self._read = 0.0

    def advance(self, store: Store, run: Run) -> bool:
        """Write the next batch, and all else there is to say; whether more events wait.

        A run that is over when it is seen first is one request to make it, one for its numbers and
        one for its end: of a thousand short ones each is 10 ms.
        """
        if self.store is not store and not self._enter(store, run):
            self.journal.update(run.id, recorded=True)  # the user deleted it in MLflow
            return False
        page = Page()
        if self.progress.attempt != run.attempt:
            self._describe(store, run, page)
        more = self._forward(page)
        turning = not more and (run.status.over or self.progress.status != run.status)
        if turning:
            self._sum_up(store, run, page)
        self._write(store, page)
        if turning:
            self._turn(store, run, page)
        elif page.then:
            self._save(dataclasses.replace(self.progress, **page.then))
        return more

    def read(self, reading: Reading, run: Run) -> None:
        """Note what the machine does; it is written with the next batch."""
        if reading.time > self._read:
            self._read = reading.time
            step = int(reading.time - (run.started or reading.time))  # seconds: no counter to lose
            points = [Point(key(name), v, reading.time, step) for name, v in reading.values.items()]
            self._readings.append(points)

    def waiting(self) -> int:
        """How many events are not in MLflow yet."""
        try:
            with self._file.open("rb") as file:
                file.seek(self.progress.offset)
                return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        except FileNotFoundError:
            return 0

    # ── where it is ──

    def _enter(self, store: Store, run: Run) -> bool:
        """Find or make the run in MLflow; False when it was deleted there."""
        found = store.find(self.progress.run_id) if self.progress.run_id else None
        if found is None:
            found = self._begun(store, run) or self._begin(store, run)
            place = found.info
            self._save(Progress(place.experiment_id, place.run_id))  # all is written, or again
        self.store, self._there = store, found
        self._params, self._tags = dict(found.data.params), dict(found.data.tags)
        return bool(found.info.lifecycle_stage == "active")

    def _begun(self, store: Store, run: Run) -> Found | None:
        """What an earlier recorder made and could not write down; to look costs 30 ms."""
        return store.made(run.experiment, run.id) if self._receipt.exists() else None

    def _begin(self, store: Store, run: Run) -> Found:
        """The run, made; first it is written down that it will be."""
        self._save(Progress())
        told = {**tags(run, self.journal.plan(run.id)), **self._parent(run), **life(run)}
        return store.create(run.experiment, run.started or run.submitted, told)

    def _parent(self, run: Run) -> dict[str, str]:
        """A trial hangs below its sweep, which came first: see `Rounds.go`."""
        sweep = run.tags.get("sweep", "")
        parent = where(self.journal.folder(sweep)) if re.fullmatch(r"sweep-\w+", sweep) else None
        return {"mlflow.parentRunId": parent.run} if parent else {}

    # ── what there is to say ──

    def _describe(self, store: Store, run: Run, page: Page) -> None:
        """Params, tags and files of a new attempt. Params cannot change: what did becomes a tag."""
        plan = self.journal.plan(run.id)
        asked, there = params(plan), self._params
        page.params |= {name: value for name, value in asked.items() if name not in there}
        changed = {
            f"resumed.{name}": value
            for name, value in asked.items()
            if there.get(name, value) != value
        }
        page.tags |= {**tags(run, plan), **changed, **self._parent(run)}
        page.then["attempt"] = run.attempt
        artifacts.before(store.shelf(self._there), plan, self.journal.root)

    def _forward(self, page: Page) -> bool:
        """The next events and readings; whether the batch is full."""
        taken = list(islice(read_events(self._file, self.progress.offset), BATCH))
        steps = dict(self.progress.steps)
        page.points += _points((event for event, _ in taken), steps)
        page.points += chain.from_iterable(self._readings)
        if taken:
            page.then |= {"offset": taken[-1][1], "steps": steps}
        return len(taken) == BATCH

    def _sum_up(self, store: Store, run: Run, page: Page) -> None:
        """The status; at the end also what came out."""
        page.tags |= life(run)
        page.then["status"] = run.status
        if run.status.over:
            events = [*self.journal.events(run.id)]
            account = settle(events, time.time(), run.devices)
            pictures = "sweep" not in run.tags  # its report has them, of all trials together
            began = time.monotonic()
            shelf = store.shelf(self._there)
            page.tags |= artifacts.after(shelf, self.folder, events, account, pictures)
            page.files = time.monotonic() - began
            page.points += _spent(account, run)

    # ── saying it ──

    def _write(self, store: Store, page: Page) -> None:
        fresh = {name: value for name, value in page.tags.items() if self._tags.get(name) != value}
        if page.points or page.params or fresh:
            store.write(self.progress.run_id, page.points, page.params, fresh)
        self._readings.clear()
        self._params |= page.params
        self._tags |= fresh

    def _turn(self, store: Store, run: Run, page: Page) -> None:
        """Tell MLflow the new status; at the end also the journal."""
        status = STATUS[run.status]
        if run.status.over:
            store.turn(self.progress.run_id, status, run.ended)
        elif self.progress.status or self._there.info.status != status:
            store.turn(self.progress.run_id, status, None)
        self._save(dataclasses.replace(self.progress, **page.then))
        if run.status.over:
            told = [Event("recorded", {"files": page.files}, time.time(), run.attempt)]
            if "sweep" in run.tags:  # a trial's is put off, which is nobody's time
                told = []
            self.journal.record(run, *told)

    def _save(self, progress: Progress) -> None:
        fresh = self._receipt.with_suffix(".new")
        fresh.write_text(json.dumps(dataclasses.asdict(progress)))
        fresh.replace(self._receipt)
        self.progress = progress


def _points(events: Iterable[Event], steps: dict[str, int]) -> Iterator[Point]:
    """The metrics in `events`, less what a restarted attempt repeats: up to the last of `steps`."""
    for event in events:
        for name, value in _values(event):
            step = event.data["steps"] if event.kind == "summary" else event.data["step"]
            if step > steps.get(name, -1):
                steps[name] = step
                yield Point(name, float(value), event.time, step)


def _values(event: Event) -> Iterator[tuple[str, float]]:
    data = event.data
    if event.kind == "metrics":
        yield from (
            (key(f"{data['split']}/{name}"), value) for name, value in data["values"].items()
        )
        yield from ((name, data[name]) for name in ("epoch", "examples", "seconds") if name in data)
    elif event.kind == "summary":
        for name, value in data["values"].items():
            split, _, score = name.partition("/")
            yield key(name if split == "test" else f"{split}/best/{score}"), value


def _spent(account: Account, run: Run) -> list[Point]:
    """Where the time went: the rows that count, and their sum.

    The UI sorts sections by name: called `time/`, these came before the curves of `train` and
    `valid` and pushed them off the screen. Step 0 makes bars of them, one for each run.
    """
    least = min(0.1, 0.01 * account.total)
    rows = {row: seconds for row, seconds in account.rows.items() if seconds >= least}
    rows["total"] = account.total
    when = run.ended or run.submitted
    return [Point(f"wall/{row}", seconds, when, 0) for row, seconds in rows.items()]


def _load(path: Path) -> Progress:
    try:
        return Progress(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Progress()  # none yet, or torn by a crash: the run is found by its tag
