"""The scheduler: a detached Ray actor that owns the queue and places gangs.

It keeps nothing that the journal and the machines do not know: restarted by Ray (0.5 s) or by a new
head, it reads the journal, asks the machines which gangs live, and goes on. Command lines reach it
on a private unix socket, so that they need not import Ray (0.4 s) or connect to it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from turnaround.errors import JournalError, LaunchError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.pool.messages import wire
from turnaround.pool.node import interference
from turnaround.pool.node.gang import Placement
from turnaround.pool.node.outcome import Outcome
from turnaround.pool.places import Places
from turnaround.pool.queue.line import Line
from turnaround.pool.scheduler.attempt import Attempt
from turnaround.pool.scheduler.cluster import Cluster
from turnaround.pool.scheduler.doctor import Doctor
from turnaround.pool.scheduler.ending import Ending, Plans, unplaced
from turnaround.spec import Event, Plan, Status, from_dict

log = logging.getLogger(__name__)
HANG = 124  # exit code, as `timeout` has it
_SINCE = "signature=? AND submitted>=?"


class Scheduler:
    """Owner of the queue."""

    def __init__(self, home: str, agent: Any) -> None:
        self._places = Places(Path(home))
        self._journal = Journal(self._places.home)
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._starting: set[str] = set()  # "run/attempt" of gangs that are being forked
        self._failed: dict[str, TurnaroundError] = {}  # why one could not be
        self._hurried: set[str] = set()  # whose end was decided
        self._parted = -math.inf  # when a run last had to leave a device that it shared
        self._plans = Plans(self._journal)
        self._line = Line(self._journal)
        self._ending = Ending(self._journal, self._line, self._plans)
        self._cluster = Cluster(self._journal, agent, self._wake.set)
        self._doctor = Doctor(self._cluster, self._journal)
        threading.Thread(target=self._schedule, daemon=True).start()
        wire.serve(self._places.scheduler, self.handle)

    def ping(self) -> bool:
        """It is up."""
        return True

    def home(self) -> str:
        """Where its journal is."""
        return str(self._places.home)

    # ── requests ──

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of a command line."""
        with self._lock:
            match request["op"]:
                case "submit":
                    reply = self._submit(request)
                case "stop":
                    reply = self._stop(request["run"], request["reason"])
                case "resume":
                    reply = self._resume(request["run"], request.get("spans"))
                case "queue":
                    reply = self._line.listed(request["most"])
                case "ping":
                    reply = {}
                case other:
                    raise LaunchError(
                        f"asked to {other!r}", "command line and pool differ in version"
                    )
        self._wake.set()
        return reply

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        """Into the queue; a question that is being answered already is not asked twice."""
        plan = from_dict(Plan, request["plan"])
        if not request["again"] and (known := self._journal.answer(plan.signature)):
            return {"run": known.id, "known": True}
        if since := request.get("since"):  # who has got no answer, as we were killed, asks again
            for row in self._journal.runs(_SINCE, [plan.signature, since], limit=1):
                return {"run": row.id, "known": False}
        if asked := request.get("run"):  # by somebody who has named it
            name = Path(asked).name
            there = bool(self._journal.some([name]))
            if not there:
                self._journal.forget(name)  # what we have left of it if we were killed
                self._queue(plan, name, request)
            return {"run": asked, "known": there}
        run = self._journal.new_id(plan.recipe.name)
        self._queue(plan, run, request)
        return {"run": run, "known": False}

    def _queue(self, plan: Plan, run: str, request: dict[str, Any]) -> None:
        self._line.add(self._journal.submit(plan, run, spans=request["spans"]), plan)

    def _stop(self, run: str, reason: str) -> dict[str, Any]:
        row = self._journal.run(run)
        if row.status.over:
            raise JournalError(
                f"run {run} is over already ({row.status})", "turnaround ls lists the runs"
            )
        if row.status is Status.QUEUED:
            self._line.drop(run)
            self._journal.mark(run, Status.STOPPED, reason, exit_code=75, attempt=row.attempt)
            return {}
        self._journal.update(run, stopping=True, reason=reason)
        self._cluster.tell(f"{run}/{row.attempt}", {"op": "stop"})
        return {}

    def _resume(self, run: str, spans: dict[str, Any] | None) -> dict[str, Any]:
        row = self._journal.run(run)
        if not row.status.over:
            raise JournalError(f"run {run} is {row.status}", f"turnaround watch {run}")
        if row.status is Status.SUCCEEDED:
            raise JournalError(
                f"run {run} has finished", "change something (a seed, a budget) and run that"
            )
        fresh = {
            "failures": 0,
            "stopping": False,
            "ended": None,
            "exit_code": None,
            "recorded": not row.tracking,
        }
        if spans:
            self._journal.append(run, Event("spans", spans, time.time(), row.attempt))
        self._journal.mark(run, Status.QUEUED, "resumed", attempt=row.attempt, **fresh)
        self._line.add(self._journal.run(run))
        return {}

    # ── the loop ──

    def _schedule(self) -> None:
        """Settle what is over, start what fits; at each change, and every few seconds anyway."""
        while True:
            self._wake.wait(5)
            self._wake.clear()
            try:
                with self._lock:
                    if self._cluster.heard:
                        self._settle()
                        self._start()
                        self._part()
            except (TurnaroundError, OSError, sqlite3.Error) as error:
                log.warning("scheduling failed, trying again: %s", error)  # a full disk, a lock
                time.sleep(1)
            except Exception:  # a mistake of ours: the door of a thread that must not die
                log.exception("scheduling failed; trying again")
                time.sleep(1)

    def _settle(self) -> None:
        starting = set(self._starting)  # before the gangs: whoever leaves it is among them
        gangs = self._cluster.gangs()
        active = {f"{run.id}/{run.attempt}": run for run in self._journal.active()}
        for key, run in active.items():
            if key not in starting:
                with _spared(run.id):
                    self._settle_one(run, key, gangs.get(key, {}))
        for key in gangs.keys() - active.keys() - starting:
            with _spared(key):
                self._end(key, gangs[key])
        self._forget()

    def _settle_one(self, run: Run, key: str, parts: dict[str, dict[str, Any]]) -> None:
        failed = self._failed.get(key)
        if not parts:
            self._ending.settle(run, unplaced(failed, self._cluster.lost.get(key)))
            return
        plan = self._plans[run.id]
        attempt = Attempt(plan.devices, plan.vital, parts)
        gone = str(failed or self._cluster.lost.get(key, ""))
        if outcome := attempt.outcome(gone):
            if failed is not None and failed.exit_code != LaunchError.exit_code:
                outcome = unplaced(failed)
            elif found := self._doctor.found.get(key):
                outcome = Outcome(HANG, True, found)
            self._ending.settle(run, outcome)
        elif (attempt.decided or failed) and key not in self._hurried:
            self._cluster.tell(key, {"op": "hurry"})
            self._hurried.add(key)
        elif attempt.running and run.status is Status.PENDING:
            started = run.started or time.time()
            self._journal.mark(run.id, Status.RUNNING, attempt=run.attempt, started=started)
        elif attempt.silent and not run.stopping:
            self._doctor.look(key, attempt)

    def _end(self, key: str, parts: dict[str, dict[str, Any]]) -> None:
        """An attempt that was given up lives after all: the run's folder is the next one's."""
        if not all(part["outcome"] for part in parts.values()):
            self._cluster.tell(key, {"op": "stop", "how": {"grace": 0}})

    def _forget(self) -> None:
        """Let the machines drop gangs whose end is in the journal."""
        for key, parts in self._cluster.gangs().items():
            if key in self._starting or not all(part["outcome"] for part in parts.values()):
                continue
            with _spared(key):
                self._forget_one(key)

    def _forget_one(self, key: str) -> None:
        run, attempt = key.rsplit("/", 1)
        rows = self._journal.some([run])  # none: somebody has removed it
        if all(_settled(row, int(attempt)) for row in rows):
            self._cluster.forget(key)
            self._hurried.discard(key)
            self._failed.pop(key, None)
            self._doctor.forget(key)
            self._plans.pop(run, None)

    def _start(self) -> None:
        self._line.read()
        starting = {key.rsplit("/", 1)[0] for key in set(self._starting)}  # before the gangs, too
        self._line.keep(self._holders(), starting)
        if not self._line:
            return
        made = self._line.decide(self._cluster.machines())
        for run, places in made.starts.items():
            with _spared(run):
                self._begin(self._journal.run(run), places)
        for run, first in made.yields.items():
            with _spared(run):
                self._make_room(self._journal.run(run), first)

    def _part(self) -> None:
        """Runs that slow each other down more than turns would: the last to come goes on alone."""
        if time.monotonic() - self._parted < interference.REST:
            return
        for key, parts in self._cluster.gangs().items():
            run = key.rsplit("/", 1)[0]
            slow = any(part.get("slow") and not part["outcome"] for part in parts.values())
            if slow and (last := self._line.newest(run)):
                self._parted = time.monotonic()
                self._make_room(self._journal.run(last), run, alone=True)
                return

    def _make_room(self, run: Run, first: str, alone: bool = False) -> None:
        """It saves, stops and waits again; its event file says so, if we should be restarted."""
        key = f"{run.id}/{run.attempt}"
        if key not in self._starting and not run.status.over:  # else the next decision is soon
            told = {"to": first} | ({"alone": True} if alone else {})
            event = Event("yields", told, time.time(), run.attempt)
            self._journal.append(run.id, event)  # first: who stops without it stops for good
            self._cluster.tell(key, {"op": "stop"})
            self._line.yields(run.id)

    def _holders(self) -> dict[str, list[Placement]]:
        """What gangs hold, by run; of two attempts both."""
        held: dict[str, list[Placement]] = {}
        for key, parts in self._cluster.gangs().items():
            for machine, part in parts.items():
                if not part["outcome"]:
                    fields = {**part["placement"], "machine": machine}
                    held.setdefault(key.rsplit("/", 1)[0], []).append(Placement(**fields))
        return held

    def _begin(self, run: Run, places: list[Placement]) -> None:
        key = f"{run.id}/{run.attempt + 1}"
        self._journal.mark(run.id, Status.PENDING, attempt=run.attempt + 1)
        self._starting.add(key)
        self._line.begin(run, places)
        if len(places) == 1 and places[0].machine == self._cluster.home:
            self._place(run.id, key, places)  # 3 ms
        else:  # code and data may have to travel first
            what = [run.id, key, places]
            threading.Thread(target=self._place, args=what, daemon=True).start()

    def _place(self, run: str, key: str, places: list[Placement]) -> None:
        try:
            self._cluster.start(key, self._plans[run], places)
            if self._journal.run(run).stopping:
                self._cluster.tell(key, {"op": "stop"})
        except TurnaroundError as error:
            log.warning("%s could not be placed: %s", key, error)
            self._failed[key] = error
        finally:
            self._starting.discard(key)
            self._wake.set()


@contextlib.contextmanager
def _spared(run: str) -> Iterator[None]:
    """What is wrong with one run is no matter of the others; it is tried again by and by."""
    try:
        yield
    except (TurnaroundError, OSError, sqlite3.Error) as error:
        log.warning("%s stays as it is for now: %s", run, error)


def _settled(row: Run, attempt: int) -> bool:
    """The journal knows the end of that attempt."""
    return row.attempt > attempt or row.status.over or row.status is Status.QUEUED
