"""The scheduler: a detached Ray actor that owns the queue and places gangs.

It keeps nothing that the journal and the nodes do not know: restarted by Ray (0.5 s) or by a new
head, it reads the journal, asks the node which gangs live, and goes on. Command lines reach it on a
private unix socket, so that they need not import Ray (0.4 s) or connect to it.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import ray

from turnaround.errors import JournalError, LaunchError, TurnaroundError
from turnaround.journal import Journal, Run, new_id
from turnaround.pool import queue, wire
from turnaround.pool.gang import Outcome, Placement
from turnaround.pool.places import Places, read_record
from turnaround.spec import Event, Inventory, Plan, Status, from_dict

log = logging.getLogger(__name__)
_STOPPED = dict.fromkeys((75, 130, 143), Status.STOPPED)
_ENDS = {0: Status.SUCCEEDED, **_STOPPED}


class Scheduler:
    """Owner of the queue."""

    def __init__(self, home: str, agent: Any) -> None:
        self._places = Places(Path(home))
        self._journal = Journal(self._places.home)
        self._agent = agent
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._gangs: dict[str, dict[str, Any]] = {}  # "run/attempt" → the node's last word
        self._heard = False  # the node has said which gangs live
        self._begun = -1  # the node's version since the newest gang began
        self._plans: dict[str, Plan] = {}
        record = read_record(self._places)
        self._inventory = Inventory(record.cpus, record.gpus) if record else Inventory(1, 0)
        for work in (self._listen, self._schedule):
            threading.Thread(target=work, daemon=True).start()
        wire.serve(self._places.scheduler, self.handle)

    def ping(self) -> bool:
        """It is up."""
        return True

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
        for _ in range(20):
            run = new_id(plan.recipe.name)
            if not self._journal.folder(run).exists():
                self._journal.submit(plan, run, spans=request["spans"])
                return {"run": run, "known": False}
        raise LaunchError(f"no free id for a run of {plan.recipe.name}", "turnaround gc")

    def _stop(self, run: str, reason: str) -> dict[str, Any]:
        row = self._journal.run(run)
        if row.status.over:
            raise JournalError(
                f"run {run} is over already ({row.status})", "turnaround ls lists the runs"
            )
        if row.status is Status.QUEUED:
            self._journal.mark(run, Status.STOPPED, reason, exit_code=75, attempt=row.attempt)
            return {}
        self._journal.update(run, stopping=True, reason=reason)
        self._ask({"op": "stop", "run": run, "attempt": row.attempt})
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
        return {}

    # ── the loop ──

    def _listen(self) -> None:
        """Hear from the node as soon as a gang changes."""
        version = -1
        while True:
            try:
                said = self._ask({"op": "watch", "version": version, "timeout": 10.0})
            except TurnaroundError as error:
                log.warning("the node is silent: %s", error)
                time.sleep(0.2)
                continue
            version = said["version"]
            with self._lock:
                if version < self._begun:
                    continue  # said before the node heard of the newest gang
                self._gangs = {f"{gang['run']}/{gang['attempt']}": gang for gang in said["gangs"]}
                self._heard = True
            self._wake.set()

    def _schedule(self) -> None:
        """Settle what is over, start what fits; at each change, and every few seconds anyway."""
        while True:
            self._wake.wait(5)
            self._wake.clear()
            try:
                with self._lock:
                    if self._heard:
                        self._settle()
                        self._start()
            except Exception:  # the door of a thread that must not die
                log.exception("scheduling failed; trying again")
                time.sleep(1)

    def _settle(self) -> None:
        for run in self._journal.queue():
            if run.status is Status.QUEUED:
                continue
            gang = self._gangs.get(f"{run.id}/{run.attempt}")
            if gang is None:
                self._lost(run, "the machine's daemon was restarted")
            elif gang["outcome"]:
                self._end(run, Outcome(**gang["outcome"]))
            elif gang["running"] and run.status is Status.PENDING:
                started = run.started or time.time()
                self._journal.mark(run.id, Status.RUNNING, attempt=run.attempt, started=started)
        self._forget()

    def _end(self, run: Run, outcome: Outcome) -> None:
        if outcome.lost and not run.stopping:
            self._lost(run, outcome.message)
            return
        code = 75 if outcome.lost else outcome.exit_code
        status = _ENDS.get(code, Status.FAILED)
        reason = outcome.message or (run.reason if status is Status.STOPPED else "")
        last = self._last(run)
        self._journal.mark(
            run.id,
            status,
            reason or last.get("message", ""),
            attempt=run.attempt,
            exit_code=code,
            stopping=False,
            summary=last.get("summary", {}),
        )

    def _lost(self, run: Run, why: str) -> None:
        """A worker or a machine went away: another attempt, while the plan allows it."""
        most = self._plan(run.id).cluster.retries
        if run.stopping:
            self._journal.mark(
                run.id, Status.STOPPED, why, attempt=run.attempt, exit_code=75, stopping=False
            )
        elif run.failures >= most:
            reason = f"{why}; given up after {run.failures} restarts"
            self._journal.mark(run.id, Status.FAILED, reason, attempt=run.attempt, exit_code=3)
        else:
            failures = run.failures + 1
            message = f"{why}; restart {failures}/{most} from the last checkpoint"
            self._journal.append(
                run.id, Event("notice", {"message": message}, time.time(), run.attempt)
            )
            self._journal.mark(
                run.id, Status.QUEUED, message, attempt=run.attempt, failures=failures
            )

    def _last(self, run: Run) -> dict[str, Any]:
        """The attempt's summary and first error, from its events."""
        found: dict[str, Any] = {}
        for event in self._journal.events(run.id):
            if event.attempt != run.attempt:
                continue
            if event.kind == "summary":
                found["summary"] = event.data
            elif (
                event.kind == "error"
                and "message" not in found
                and event.data.get("exit_code") != 3
            ):
                found["message"] = event.data["message"]
        return found

    def _forget(self) -> None:
        """Let the node drop gangs whose end is in the journal."""
        for key, gang in list(self._gangs.items()):
            row = self._journal.run(gang["run"])
            settled = (
                row.attempt > gang["attempt"] or row.status.over or row.status is Status.QUEUED
            )
            if gang["outcome"] and settled:
                self._ask({"op": "forget", "run": gang["run"], "attempt": gang["attempt"]})
                del self._gangs[key]
                self._plans.pop(row.id, None)

    def _start(self) -> None:
        queued = [run for run in self._journal.queue() if run.status is Status.QUEUED]
        if not queued:
            return
        holders = {
            gang["run"]: Placement(**gang["placement"])
            for gang in self._gangs.values()
            if not gang["outcome"]
        }
        starts, waits = queue.decide(queued, self._plan, holders, self._inventory)
        rows = {run.id: run for run in queued}
        for run, placement in starts.items():
            self._begin(rows[run], placement)
        for run, reason in waits.items():
            if rows[run].reason != reason:
                self._journal.update(run, reason=reason)

    def _begin(self, run: Run, placement: Placement) -> None:
        attempt = run.attempt + 1
        held = {"cpus": placement.cpus, "gpus": placement.gpus}
        gang = {"run": run.id, "attempt": attempt, "placement": held}
        self._journal.mark(run.id, Status.PENDING, attempt=attempt)
        self._gangs[f"{run.id}/{attempt}"] = {**gang, "running": False, "outcome": None}
        self._begun = self._ask({"op": "start", **gang})["version"]

    def _plan(self, run: str) -> Plan:
        if run not in self._plans:
            self._plans[run] = self._journal.plan(run)
        return self._plans[run]

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            reply: dict[str, Any] = ray.get(self._agent.ask.remote(request), timeout=90)
            return reply
        except ray.exceptions.RayError as error:
            raise LaunchError(
                f"the agent does not answer: {error!r:.200}", "it is being restarted"
            ) from error
