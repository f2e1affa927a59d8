"""`cluster=inline`: in this process, where a debugger can stop it. No daemon, no Ray.

    code = run(plan, journal, watch=print)         # submit and carry out; the exit code
    code = resume("reverse-k3x9e", journal, print)

Rank 0 is this process. The other ranks of a gang are processes of their own: their output goes to
the run's log.txt, their events come back by a pipe each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pkgutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from turnaround.errors import JournalError
from turnaround.journal import EventFile, Journal
from turnaround.pool.places import living, owner
from turnaround.spec import Assignment, Event, Plan, Status, to_dict
from turnaround.tracking import start

LEAVE = 15.0  # seconds for the other ranks to follow rank 0 out
LOST = 3  # exit code of a rank whose peer was lost
INTERRUPTED = 130  # as shells say it: 128 + SIGINT
STOPPED = (75, INTERRUPTED, 143)  # exit codes of a rank that was asked to stop
BACKLOG = 10_000  # events kept while the disk takes none

Watch = Callable[[Event], None]


def run(plan: Plan, journal: Journal, watch: Watch, spans: dict[str, Any] | None = None) -> int:
    """Submit the plan and carry it out; the exit code."""
    return begin(submit(plan, journal, spans), journal, watch)


def submit(plan: Plan, journal: Journal, spans: dict[str, Any] | None = None) -> str:
    """A run that is this process's own, by its id."""
    name = journal.new_id(plan.recipe.name)
    return journal.submit(plan, name, owner=owner(), spans=spans).id


def begin(run: str, journal: Journal, watch: Watch) -> int:
    """Carry out a run that was submitted here; the exit code."""
    return _carry_out(run, 1, journal, watch)


def resume(run: str, journal: Journal, watch: Watch, spans: dict[str, Any] | None = None) -> int:
    """Go on from the run's last checkpoint; the exit code."""
    row = journal.run(run)
    if not row.status.over and (pid := living(row.owner)):
        hint = f"turnaround watch {run}"
        raise JournalError(f"run {run} is being carried out by process {pid}", hint)
    journal.update(run, owner=owner(), recorded=not row.tracking, ended=None, exit_code=None)
    if spans:
        journal.append(run, Event("spans", spans, time.time(), row.attempt))
    return _carry_out(run, row.attempt + 1, journal, watch)


def _carry_out(run: str, attempt: int, journal: Journal, watch: Watch) -> int:
    """One attempt at a run, which is over in the journal when this returns."""
    plan = journal.plan(run)
    if plan.tracking.name == "mlflow" and plan.tracking.uri:
        start.ensure(journal.root, plan.tracking.uri, plan.place.interpreter)
    scribe = Scribe(journal, run, attempt, watch)
    try:
        scribe.mark(Status.RUNNING)
        code = _verdict(_codes(plan, journal, run, attempt, scribe)[: plan.vital])
    except KeyboardInterrupt:  # rank 0 does not take the signals yet, or no longer
        scribe.mark(Status.STOPPED, INTERRUPTED, "stopped with Ctrl-C")
        return INTERRUPTED
    ended = Status.FAILED if code else Status.SUCCEEDED
    scribe.mark(Status.STOPPED if code in STOPPED else ended, code)
    return code


def _codes(plan: Plan, journal: Journal, run: str, attempt: int, scribe: Scribe) -> list[int]:
    """Exit codes of all ranks: rank 0 here, the others beside it."""
    began = time.time()  # what follows imports torch: no fork here, but the same row
    with _interruptible():
        work = pkgutil.resolve_name(plan.entry)  # by its name: launchers do without torch
    with _meeting(plan.devices) as (listener, store):
        first, *others = _assignments(plan, journal, run, attempt, store)
        first = dataclasses.replace(first, forked=began)
        helpers = [Helper(plan, assignment, scribe) for assignment in others]
        return [work(plan, first, scribe.take, listener), *(h.leave() for h in helpers)]


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C is a KeyboardInterrupt: a module that is being imported may lose that, or make another
    error of it, as numpy does."""
    came: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, take)
    try:
        yield
    except Exception:
        if not came:
            raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt


def _verdict(codes: list[int]) -> int:
    """One exit code for all vital ranks: that of the first that failed by itself."""
    own = (code for code in codes if code > 0 and code != LOST)
    return next(own, LOST if any(codes) else 0)


@contextlib.contextmanager
def _meeting(size: int) -> Iterator[tuple[int | None, str | None]]:
    """A listening socket for rank 0 and its address, where there is anybody to meet.

    Given away as a socket, not as a port: nobody can connect before it listens, or take the port.
    """
    if size == 1:
        yield None, None
        return
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield os.dup(listener.fileno()), "{}:{}".format(*listener.getsockname())


def _assignments(
    plan: Plan, journal: Journal, run: str, attempt: int, store: str | None
) -> list[Assignment]:
    """One for each rank."""
    place, size = plan.place, plan.devices
    tree = journal.root / "snapshots" / (place.snapshot or "") / "tree"
    first = Assignment(
        run=run,
        folder=str(journal.folder(run)),
        code=str(tree) if place.snapshot else place.project,
        attempt=attempt,
        size=size,
        device="cuda" if plan.cluster.device == "cuda" else "cpu",
        threads=plan.cluster.threads or 1,
        store=store,
        forked=time.time(),
    )
    return [dataclasses.replace(first, rank=rank, index=rank) for rank in range(size)]


class Helper:
    """A rank that is a process of its own."""

    def __init__(self, plan: Plan, assignment: Assignment, scribe: Scribe) -> None:
        folder = Path(assignment.folder)
        job = folder / f"rank-{assignment.rank}.json"
        job.write_text(json.dumps({"plan": to_dict(plan), "assignment": to_dict(assignment)}))
        reading, writing = os.pipe()
        python = [plan.place.interpreter, "-P"]  # -P: the working folder holds no modules
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [*python, "-m", "turnaround.worker", str(job), str(writing)],
                pass_fds=[writing],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for rank 0, which tells the others
            )
        os.close(writing)
        self._ear = threading.Thread(target=self._listen, args=[reading, scribe], daemon=True)
        self._ear.start()

    def leave(self) -> int:
        """Its exit code, once it has ended; it does not get long."""
        try:
            return self._process.wait(LEAVE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._ear.join()

    @staticmethod
    def _listen(reading: int, scribe: Scribe) -> None:
        with open(reading) as lines:
            for line in lines:
                scribe.take(line)


class Scribe:
    """Takes down what happens in one attempt: for the journal, and for who watches."""

    def __init__(self, journal: Journal, run: str, attempt: int, watch: Watch) -> None:
        self._journal = journal
        self._run = run
        self._attempt = attempt
        self._watch = watch
        self._lock = threading.Lock()  # the other ranks' events come from threads
        self._file = EventFile(journal.folder(run))
        self._backlog: list[bytes] = []  # what a full disk did not take; training goes on
        self._summary: dict[str, Any] = {}
        self._said: dict[int, str] = {}  # the first message for each exit code

    def take(self, text: str) -> None:
        """Events as a worker sends them, a line each."""
        for line in text.splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        event = Event(**json.loads(line))
        with self._lock:
            self._remember(event)
            self._backlog = [*self._backlog, line.encode()][-BACKLOG:]
            with contextlib.suppress(OSError):
                self._backlog = [*self._file.keep(self._backlog)]
            self._watch(event)

    def mark(self, status: Status, code: int | None = None, reason: str = "") -> None:
        """Move the run to `status`, for what was said with that exit code."""
        reason = self._said.get(code or 0, reason)
        fields = {"attempt": self._attempt, "exit_code": code, "summary": self._summary}
        self._journal.mark(self._run, status, reason, **fields)
        told = {"status": status, "reason": reason}
        self._watch(Event("status", told, time.time(), self._attempt))

    def _remember(self, event: Event) -> None:
        if event.kind == "summary":
            self._summary = event.data
        if "exit_code" in event.data:
            self._said.setdefault(event.data["exit_code"], event.data["message"])
