"""The scheduler: a detached Ray actor that owns the queue and places gangs.

It keeps nothing that the journal and the machines do not know: restarted by Ray (0.5 s) or by a new
head, it reads the journal, asks the machines which gangs live, and goes on. Command lines reach it
on a private unix socket, so that they need not import Ray (0.4 s) or connect to it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from turnaround.errors import JournalError, LaunchError, TurnaroundError
from turnaround.journal import Journal, Run, new_id
from turnaround.pool import wire
from turnaround.pool.attempt import Attempt
from turnaround.pool.cluster import Cluster
from turnaround.pool.doctor import Doctor
from turnaround.pool.gang import Placement
from turnaround.pool.line import Line
from turnaround.pool.outcome import LOST, Outcome
from turnaround.pool.places import Places
from turnaround.spec import Event, Plan, Status, from_dict

log = logging.getLogger(__name__)
_STOPPED = dict.fromkeys((75, 130, 143), Status.STOPPED)
HANG = 124  # exit code, as `timeout` has it
_ENDS = {0: Status.SUCCEEDED, **_STOPPED}


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
        self._plans: dict[str, Plan] = {}  # of runs that are under way
        self._line = Line(self._journal)
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
        if asked := request.get("run"):  # by somebody who has named it
            there = self._journal.folder(Path(asked).name).exists()
            if not there:
                self._queue(plan, Path(asked).name, request)
            return {"run": asked, "known": there}
        for _ in range(20):
            run = new_id(plan.recipe.name)
            if not self._journal.folder(run).exists():
                self._queue(plan, run, request)
                return {"run": run, "known": False}
        raise LaunchError(f"no free id for a run of {plan.recipe.name}", "turnaround gc")

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
            except (TurnaroundError, OSError, sqlite3.Error) as error:
                log.warning("scheduling failed, trying again: %s", error)  # a full disk, a lock
                time.sleep(1)
            except Exception:  # a mistake of ours: the door of a thread that must not die
                log.exception("scheduling failed; trying again")
                time.sleep(1)

    def _settle(self) -> None:
        starting = set(self._starting)  # before the gangs: whoever leaves it is among them
        gangs = self._cluster.gangs()
        for run in self._journal.active():
            key = f"{run.id}/{run.attempt}"
            if key not in starting:
                self._settle_one(run, key, gangs.get(key, {}))
        self._forget()

    def _settle_one(self, run: Run, key: str, parts: dict[str, dict[str, Any]]) -> None:
        failed = self._failed.get(key)
        if not parts:
            self._end(run, _unplaced(failed))
            return
        plan = self._plan(run.id)
        attempt = Attempt(plan.devices, plan.vital, parts)
        gone = str(failed or self._cluster.lost.get(key, ""))
        if outcome := attempt.outcome(gone):
            if failed is not None and failed.exit_code != LaunchError.exit_code:
                outcome = _unplaced(failed)
            elif found := self._doctor.found.get(key):
                outcome = Outcome(HANG, True, found)
            self._end(run, outcome)
        elif (attempt.decided or failed) and key not in self._hurried:
            self._cluster.tell(key, {"op": "hurry"})
            self._hurried.add(key)
        elif attempt.running and run.status is Status.PENDING:
            started = run.started or time.time()
            self._journal.mark(run.id, Status.RUNNING, attempt=run.attempt, started=started)
        elif attempt.silent and not run.stopping:
            self._doctor.look(key, attempt)

    def _end(self, run: Run, outcome: Outcome) -> None:
        if outcome.lost and not run.stopping:
            self._lost(run, outcome)
            return
        code = 75 if outcome.lost else outcome.exit_code
        status = _ENDS.get(code, Status.FAILED)
        reason = outcome.message or (run.reason if status is Status.STOPPED else "")
        last = self._last(run)
        if status is Status.STOPPED and "yields" in last and not run.stopping:
            reason = f"made room for {last['yields']}, and goes on from its checkpoint"
            self._again(run, reason)
            return
        self._journal.mark(
            run.id,
            status,
            reason or last.get("message", ""),
            attempt=run.attempt,
            exit_code=code,
            stopping=False,
            summary=last.get("summary", {}),
        )

    def _lost(self, run: Run, outcome: Outcome) -> None:
        """A worker or a machine went away: another attempt, while the plan allows it."""
        most, why = self._plan(run.id).cluster.retries, outcome.message
        if "after step" not in why and (step := self._step(run)):
            why = f"{why} after step {step}"
        if run.failures >= most:
            reason = f"{why}; given up after {run.failures} restarts"
            ended = {"attempt": run.attempt, "exit_code": outcome.exit_code}
            self._journal.mark(run.id, Status.FAILED, reason, **ended)
        else:
            failures = run.failures + 1
            message = f"{why}; restart {failures}/{most} from the last checkpoint"
            self._journal.append(
                run.id, Event("notice", {"message": message}, time.time(), run.attempt)
            )
            self._again(run, message, failures=failures)

    def _again(self, run: Run, reason: str, **fields: Any) -> None:
        """Back into the queue."""
        self._journal.mark(run.id, Status.QUEUED, reason, attempt=run.attempt, **fields)
        self._line.add(self._journal.run(run.id))

    def _step(self, run: Run) -> int:
        """The last that the attempt has told of."""
        told = (e for e in self._journal.events(run.id) if e.attempt == run.attempt)
        return max((e.data["step"] for e in told if e.kind in ("metrics", "progress")), default=0)

    def _last(self, run: Run) -> dict[str, Any]:
        """The attempt's summary, and the first error that was nobody else's."""
        found: dict[str, Any] = {}
        errors = []
        for event in self._journal.events(run.id):
            if event.attempt == run.attempt and event.kind == "summary":
                found["summary"] = event.data
            elif event.attempt == run.attempt and event.kind == "error":
                errors.append(event)
            elif event.attempt == run.attempt and event.kind == "yields":
                found["yields"] = event.data["to"]
        own = [error for error in errors if error.data.get("exit_code") != LOST]
        if own:  # of the same kind the one that knows more: all ranks see a sum that is not finite
            same = [e for e in own if e.data.get("exit_code") == own[0].data.get("exit_code")]
            known = (e for e in same if "all parameters are finite" not in e.data["message"])
            first = next(known, same[0])
            many = self._plan(run.id).devices > 1
            found["message"] = (f"rank {first.rank}: " if many else "") + first.data["message"]
        return found

    def _forget(self) -> None:
        """Let the machines drop gangs whose end is in the journal."""
        for key, parts in self._cluster.gangs().items():
            run, attempt = key.rsplit("/", 1)
            row = self._journal.run(run)
            settled = row.attempt > int(attempt) or row.status.over or row.status is Status.QUEUED
            if settled and key not in self._starting and all(p["outcome"] for p in parts.values()):
                self._cluster.forget(key)
                self._hurried.discard(key)
                self._failed.pop(key, None)
                self._doctor.forget(key)
                self._plans.pop(row.id, None)

    def _start(self) -> None:
        self._line.read()
        self._line.keep(self._holders(), {key.rsplit("/", 1)[0] for key in self._starting})
        if not self._line:
            return
        made = self._line.decide(self._cluster.machines())
        for run, places in made.starts.items():
            self._begin(self._journal.run(run), places)
        for run, first in made.yields.items():
            self._make_room(self._journal.run(run), first)

    def _make_room(self, run: Run, first: str) -> None:
        """It saves, stops and waits again; its event file says so, if we should be restarted."""
        key = f"{run.id}/{run.attempt}"
        if key not in self._starting and not run.status.over:  # else the next decision is soon
            self._cluster.tell(key, {"op": "stop"})
            event = Event("yields", {"to": first}, time.time(), run.attempt)
            self._journal.append(run.id, event)
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
            self._cluster.start(key, self._plan(run), places)
            if self._journal.run(run).stopping:
                self._cluster.tell(key, {"op": "stop"})
        except TurnaroundError as error:
            log.warning("%s could not be placed: %s", key, error)
            self._failed[key] = error
        finally:
            self._starting.discard(key)
            self._wake.set()

    def _plan(self, run: str) -> Plan:
        if run not in self._plans:
            self._plans[run] = self._journal.plan(run)
        return self._plans[run]


def _unplaced(failed: TurnaroundError | None) -> Outcome:
    """The end of an attempt of which no machine knows anything."""
    if failed is None:
        return Outcome(LOST, True, "the machine's daemon was restarted")
    if failed.exit_code == LaunchError.exit_code:
        return Outcome(LOST, True, failed.message)
    return Outcome(failed.exit_code, message=str(failed))
