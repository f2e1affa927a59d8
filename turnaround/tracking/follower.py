"""One run's way into MLflow: from its event file, in batches, each exactly once.

How far it is stands in `tracking.json` in the run's folder, written after each batch. A recorder
that dies between the two sends the last batch again, and MLflow keeps one of each.
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
    run_id: str = ""
    attempt: int | None = None  # whose params, tags and first files are there
    status: str = ""
    offset: int = 0  # bytes of the event file
    steps: dict[str, int] = field(default_factory=dict)  # metric → its last step


class Follower:
    """Brings one run of the journal into MLflow."""

    def __init__(self, journal: Journal, run: str) -> None:
        self.journal = journal
        self.folder = journal.folder(run)
        self._file = self.folder / "events.jsonl"
        self.progress = _load(self.folder / "tracking.json")
        self.store: Store | None = None  # in which the run is known to be
        self._params: dict[str, str] = {}  # that are there
        self._readings: deque[list[Point]] = deque(maxlen=READINGS)
        self._read = 0.0

    def advance(self, store: Store, run: Run) -> bool:
        """Write the next batch, and all else there is to say; whether more events wait."""
        if self.store is not store and not self._enter(store, run):
            self.journal.update(run.id, recorded=True)  # the user deleted it in MLflow
            return False
        if self.progress.attempt != run.attempt:
            self._describe(store, run)
        if self._forward(store):
            return True
        if run.status.over or self.progress.status != run.status:
            self._turn(store, run)
        return False

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

    def _enter(self, store: Store, run: Run) -> bool:
        """Find or make the run in MLflow; False when it was deleted there."""
        found = store.find(self.progress.run_id) if self.progress.run_id else None
        if found is None:
            experiment = store.experiment(run.experiment)
            found = store.create(experiment, run.id, run.started or run.submitted)
            run_id = str(found.info.run_id)
            self._save(Progress(experiment, run_id))  # in a new store everything is written again
        self.store = store
        self._params = dict(found.data.params)
        return bool(found.info.lifecycle_stage == "active")

    def _describe(self, store: Store, run: Run) -> None:
        """Params, tags and files of a new attempt. Params cannot change: what did becomes a tag."""
        plan = self.journal.plan(run.id)
        run_id = self.progress.run_id
        asked = params(plan)
        there = self._params
        fresh = {name: value for name, value in asked.items() if name not in there}
        changed = {
            f"resumed.{name}": value
            for name, value in asked.items()
            if there.get(name, value) != value
        }
        told = {**tags(run, plan), **changed, **self._parent(run)}
        store.write(run_id, params=fresh, tags=told)
        self._params = {**there, **fresh}
        artifacts.before(store.client, run_id, plan, self.journal.root)
        self._save(dataclasses.replace(self.progress, attempt=run.attempt))

    def _parent(self, run: Run) -> dict[str, str]:
        """A trial hangs below its sweep, which came first: see `Rounds.go`."""
        sweep = run.tags.get("sweep", "")
        parent = where(self.journal.folder(sweep)) if re.fullmatch(r"sweep-\w+", sweep) else None
        return {"mlflow.parentRunId": parent.run} if parent else {}

    def _forward(self, store: Store) -> bool:
        """Write one batch; whether it was a full one."""
        taken = list(islice(read_events(self._file, self.progress.offset), BATCH))
        steps = dict(self.progress.steps)
        points = [
            *_points((event for event, _ in taken), steps),
            *chain.from_iterable(self._readings),
        ]
        if points:
            store.write(self.progress.run_id, points)
            self._readings.clear()
        if taken:
            self._save(dataclasses.replace(self.progress, offset=taken[-1][1], steps=steps))
        return len(taken) == BATCH

    def _turn(self, store: Store, run: Run) -> None:
        """Tell MLflow the new status; at the end also what came out, and tell the journal."""
        run_id = self.progress.run_id
        spent: list[Point] = []
        began = time.monotonic()
        if run.status.over:
            account = settle(self.journal.events(run.id), time.time(), run.devices)
            pictures = "sweep" not in run.tags  # its report has them, of all trials together
            artifacts.after(store.client, run_id, self.folder, account, pictures)
            spent = _spent(account, run)
        files = time.monotonic() - began  # the rest of the wait was for numbers
        store.write(run_id, spent, tags=life(run))
        store.turn(run_id, STATUS[run.status], run.ended if run.status.over else None)
        self._save(dataclasses.replace(self.progress, status=run.status))
        if run.status.over and self.journal.run(run.id) == run:  # and not resumed meanwhile
            self.journal.append(
                run.id, Event("recorded", {"files": files}, time.time(), run.attempt)
            )
            self.journal.update(run.id, recorded=True)

    def _save(self, progress: Progress) -> None:
        fresh = self.folder / "tracking.json.new"
        fresh.write_text(json.dumps(dataclasses.asdict(progress)))
        fresh.replace(self.folder / "tracking.json")
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
