"""Trials in bundles: each is one run of the pool, which trains the runs that it carries as one.

    hand = Bundles(pool, "sweep-x7k2m", devices=2)     # in place of the pool, for sweep.fuse=true
    run, known = hand.submit(plan)                     # waits for others like it

The trials are ordinary runs with folders, events and checkpoints of their own; what the scheduler
places and restarts is the run that carries them (`fusion.py`). This process takes down what becomes
of each. It remembers nothing that the journal does not say.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from turnaround.errors import JournalError
from turnaround.fusible import ENDED, MOST, STOP, common
from turnaround.journal import Journal, Run, new_id, read_events
from turnaround.launch.pool import Pool
from turnaround.pool.places import owner
from turnaround.signature import signature
from turnaround.spec import Checkpoint, Cluster, Inventory, Plan, Status, Tracking
from turnaround.sweep.outcome import TOGETHER
from turnaround.tracking import start

log = logging.getLogger(__name__)
KIND = {"kind": "bundle"}  # the tag of runs that carry others
GLANCE = 0.05  # seconds between looks at what became of them
LATE = 1 << 17  # bytes of an event file in which last words are,
WORDS = ("worker", "summary", "notice", "error", "ended")  # among them those that count
_STOPPED = (75, 130, 143)


@dataclass
class Bundle:
    """A run of the pool and those that it carries."""

    run: str
    members: dict[str, int]  # attempts that each had before
    told: set[str] = field(default_factory=set)  # which are known to run


class Bundles:
    """Carries runs out, many in one process."""

    def __init__(self, pool: Pool, sweep: str, devices: int) -> None:
        self.pool = pool
        self.journal: Journal = pool.journal
        self._sweep = sweep
        self._devices = devices
        self._me = owner()
        self._lock = threading.RLock()
        self._waiting: dict[str, Plan | None] = {}  # none: it is in the run's folder
        self._live: dict[str, Bundle] = {}
        self._recall()

    def begin(self) -> None:
        """Look after them from now on, in a thread."""
        threading.Thread(target=self._watch, name="bundles", daemon=True).start()

    # ── as the pool ──

    def submit(self, plan: Plan, again: bool = False) -> tuple[Run, bool]:
        """A run that waits for others like it. (run, whether it was there already)"""
        if not again and (known := self.journal.answer(plan.signature)):
            return known, True
        mine = replace(plan, cluster=replace(plan.cluster, name="inline"))
        with self._lock:
            run = self.journal.submit(mine, new_id(plan.recipe.name), owner=self._me)
            self._waiting[run.id] = mine
        return run, False

    def resume(self, run: str) -> None:
        """It goes on from its checkpoint, with others or by itself."""
        row = self.journal.run(run)
        with self._lock:
            if self._bundle(run):  # somebody took it for dead
                fields: dict[str, Any] = {"attempt": row.attempt, "started": row.started}
                self.journal.mark(run, Status.RUNNING, ended=None, exit_code=None, **fields)
                return
            for name in (STOP, ENDED):
                (self.journal.folder(run) / name).unlink(missing_ok=True)
            fresh: dict[str, Any] = {"ended": None, "exit_code": None, "owner": self._me}
            fresh["recorded"] = not row.tracking
            self.journal.mark(run, Status.QUEUED, "resumed", attempt=row.attempt, **fresh)
            self._wait(run)

    def stop(self, run: str, reason: str = "") -> None:
        """Ask it to save and end; the others go on."""
        row = self.journal.run(run)
        if row.status.over:
            raise JournalError(f"run {run} is over already ({row.status})", "turnaround ls")
        with self._lock:
            if self._bundle(run):
                self.journal.update(run, reason=reason)
                (self.journal.folder(run) / STOP).touch()
                return
            self._waiting.pop(run, None)
            last: dict[str, Any] = {"attempt": row.attempt, "exit_code": 75}
            self.journal.mark(run, Status.STOPPED, reason, **last)

    def inventory(self, cluster: Cluster) -> Inventory | None:
        """The devices that there are."""
        return self.pool.inventory(cluster)

    # ── looking after them ──

    def _watch(self) -> None:
        while True:
            time.sleep(GLANCE)
            try:
                with self._lock:
                    self._heed()
            except Exception:  # the door of a thread that must not die: the pool may be away
                log.exception("looking after bundles failed; trying again")

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Take down what became of those under way; afterwards send what waits.

        A sweep decides in between, so it has heard of all that a device has done before that device
        has more to do: of a rung that ended the best go on, and together.
        """
        with self._lock:
            self._heed()
            yield
            self._lay()

    def tend(self) -> None:
        """A turn in which nothing is decided."""
        with self.turn():
            pass

    def _heed(self) -> None:
        for bundle in [*self._live.values()]:
            self._follow(bundle)

    def _follow(self, bundle: Bundle) -> None:
        row = self.journal.run(bundle.run)
        for run, before in [*bundle.members.items()]:
            if row.status is Status.RUNNING and run not in bundle.told:
                bundle.told.add(run)
                self.journal.mark(run, Status.RUNNING, attempt=before + row.attempt)
            ended = self.journal.folder(run) / ENDED
            if ended.exists() and (code := ended.read_text()):
                self._end(bundle, run, int(code))
        if row.status.over:
            for run in [*bundle.members]:
                self._end(bundle, run, row.exit_code or 3, row.reason)
            del self._live[bundle.run]
        elif row.status is Status.QUEUED and self._unwanted(bundle):
            self.pool.stop(bundle.run, "all that it carries was stopped")

    def _unwanted(self, bundle: Bundle) -> bool:
        return all((self.journal.folder(run) / STOP).exists() for run in bundle.members)

    def _end(self, bundle: Bundle, run: str, code: int, reason: str = "") -> None:
        """The end of a run, which may not have been seen to begin.

        What it cost tells nothing of runs by themselves, so forecasts do not hear of it.
        """
        before, row, whole = bundle.members.pop(run), self.journal.run(run), bundle.run
        last = _last(self.journal.folder(run) / "events.jsonl", before + 1, code)
        together = str(len(self.journal.plan(whole).carries))
        fields: dict[str, Any] = {"attempt": last.attempt, "exit_code": code}
        fields |= {"summary": last.summary, "tags": {**row.tags, TOGETHER: together}}
        if row.started is None:
            fields["started"] = self.journal.run(whole).started
        if code in _STOPPED:
            self.journal.mark(run, Status.STOPPED, reason or row.reason or last.said, **fields)
        elif code:
            self.journal.mark(run, Status.FAILED, reason or last.said, **fields)
        else:
            self.journal.mark(run, Status.SUCCEEDED, **fields)
            self.journal.update(run, cost={})

    def _bundle(self, run: str) -> Bundle | None:
        return next((bundle for bundle in self._live.values() if run in bundle.members), None)

    # ── laying them together ──

    def _wait(self, run: str) -> None:
        self._waiting[run] = None  # its plan may have been amended

    def _lay(self) -> None:
        """Runs of one shape, evenly over the devices that are free, or will be in a moment: of whom
        nothing is awaited has nothing left to do but to leave."""
        kinds: dict[str, list[str]] = defaultdict(list)
        plans = {run: plan or self.journal.plan(run) for run, plan in self._waiting.items()}
        for run, plan in plans.items():
            kinds[repr(common(plan))].append(run)
        for alike in kinds.values():
            free = self._devices - sum(bool(bundle.members) for bundle in self._live.values())
            for chosen in shared(alike[: MOST * free], free):
                self._send({run: plans[run] for run in chosen})

    def _send(self, plans: dict[str, Plan]) -> None:
        rows = {run: self.journal.run(run) for run in plans}
        members = {run: row.attempt for run, row in rows.items()}
        first = next(iter(plans.values()))
        if first.tracking.name == "mlflow" and first.tracking.uri:
            start.ensure(self.journal.root, first.tracking.uri, first.place.interpreter)
        made = carrier(first, self._sweep, members)
        run, _ = self.pool.submit(made, again=True)
        self._live[run.id] = Bundle(run.id, members)
        for each in plans:
            self._waiting.pop(each)

    def _recall(self) -> None:
        """What an earlier driver left behind."""
        ours = f'%"sweep": "{self._sweep}"%'
        condition = "tags LIKE ? AND tags LIKE ?"
        for row in self.journal.runs(condition, [ours, '%"kind": "bundle"%'], limit=10_000):
            carried = self.journal.plan(row.id).carries
            left = {r: n for r, n in carried.items() if self._current(r, n, row)}
            for run in left:
                self.journal.update(run, owner=self._me)
            if left:
                self._live[row.id] = Bundle(row.id, left)
        for row in self.journal.runs("tags LIKE ? AND status='QUEUED'", [ours], limit=10_000):
            if row.cluster == "inline" and not self._bundle(row.id):
                self._wait(row.id)

    def _current(self, run: str, before: int, bundle: Run) -> bool:
        """What becomes of the run in that bundle is still to be taken down."""
        row = next(iter(self.journal.runs("id=?", [run])), None)
        if row is None:
            return False
        if row.status.over:  # somebody who saw no process of its own took it for dead
            ended = (self.journal.folder(run) / ENDED).exists()
            return not bundle.status.over and row.status is Status.STOPPED and not ended
        return not bundle.status.over or row.status is Status.RUNNING or row.attempt == before


def carrier(first: Plan, sweep: str, members: dict[str, int]) -> Plan:
    """The plan of a run that trains these, of which `first` is one's."""
    return replace(
        first,
        name=f"{len(members)} trials of {sweep}",
        tags={"sweep": sweep, **KIND},
        cluster=replace(first.cluster, name="pool"),
        tracking=Tracking("none"),
        checkpoint=Checkpoint(),
        signature=signature(members),
        until=None,
        init_from=None,
        carries=members,
        entry="turnaround.fusion:work",
    )


def shared(runs: Sequence[str], parts: int) -> Iterable[Sequence[str]]:
    """In so many parts of about the same size, none of them empty."""
    parts = min(parts, len(runs))
    return [runs[part::parts] for part in range(parts)] if parts > 0 else []


@dataclass
class Last:
    """Last words of a run."""

    attempt: int
    summary: dict[str, Any] = field(default_factory=dict)
    said: str = ""  # what went wrong


def _last(path: Path, first: int, code: int) -> Last:
    """Of those attempts that are not before `first`."""
    last = Last(first)
    begin = max(0, path.stat().st_size - LATE) if path.exists() else 0
    for event, _ in read_events(path, begin, WORDS):
        if event.attempt >= first:
            last.attempt = event.attempt
            if event.kind == "summary":
                last.summary = event.data
            elif event.data.get("exit_code") == code:
                last.said = event.data.get("message", last.said)
    return last
