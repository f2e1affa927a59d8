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
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import psutil

from turnaround.errors import JournalError
from turnaround.journal import EventFile, Journal, new_id
from turnaround.pool.places import alive
from turnaround.spec import Assignment, Event, Plan, Status, to_dict
from turnaround.tracking import start

LEAVE = 15.0  # seconds for the other ranks to follow rank 0 out
LOST = 3  # exit code of a rank whose peer was lost
STOPPED = (75, 130, 143)  # exit codes of a rank that was asked to stop
BACKLOG = 10_000  # events kept while the disk takes none

Watch = Callable[[Event], None]


def run(plan: Plan, journal: Journal, watch: Watch) -> int:
    """Submit the plan and carry it out; the exit code."""
    submitted = journal.submit(plan, new_id(plan.recipe.name), owner=_owner())
    return _carry_out(submitted.id, 1, journal, watch)


def resume(run: str, journal: Journal, watch: Watch) -> int:
    """Go on from the run's last checkpoint; the exit code."""
    row = journal.run(run)
    pid, _, created = row.owner.partition(":")
    if not row.status.over and pid and alive(int(pid), float(created)):
        raise JournalError(
            f"run {run} is being carried out by process {pid}", f"turnaround watch {run}"
        )
    journal.update(run, owner=_owner(), recorded=not row.tracking, ended=None, exit_code=None)
    return _carry_out(run, row.attempt + 1, journal, watch)


def _owner() -> str:
    return f"{os.getpid()}:{psutil.Process().create_time()}"


def _carry_out(run: str, attempt: int, journal: Journal, watch: Watch) -> int:
    """One attempt at a run, by this process and its helpers."""
    plan = journal.plan(run)
    if plan.tracking.name == "mlflow" and plan.tracking.uri:
        start.ensure(journal.root, plan.tracking.uri, plan.place.interpreter)
    scribe = Scribe(journal, run, attempt, watch)
    scribe.mark(Status.RUNNING)
    work = pkgutil.resolve_name(plan.entry)  # by name: launchers know nothing of torch
    first = _assignment(plan, journal, run, attempt)
    with _meeting(plan.layout.devices) as (listener, store):
        ranks = [dataclasses.replace(first, rank=rank, index=rank, store=store) for rank in range(first.size)]
        helpers = [Helper(plan, rank, scribe) for rank in ranks[1:]]
        codes = [work(plan, ranks[0], scribe.take, listener), *(h.leave() for h in helpers)]
    code = _verdict(codes)
    status = Status.FAILED if code else Status.SUCCEEDED
    scribe.mark(Status.STOPPED if code in STOPPED else status, exit_code=code)
    return code


def _verdict(codes: list[int]) -> int:
    """One exit code of all ranks': that of the first that failed by itself."""
    own = (code for code in codes if code > 0 and code != LOST)
    return next(own, LOST if any(codes) else 0)


def _assignment(plan: Plan, journal: Journal, run: str, attempt: int) -> Assignment:
    place = plan.place
    tree = journal.root / "snapshots" / (place.snapshot or "") / "tree"
    return Assignment(
        run=run,
        folder=str(journal.folder(run)),
        code=str(tree) if place.snapshot else place.project,
        attempt=attempt,
        size=plan.layout.devices,
        device="cuda" if plan.cluster.device == "cuda" else "cpu",
        threads=plan.cluster.threads or 1,
    )


@contextlib.contextmanager
def _meeting(size: int) -> Iterator[tuple[int | None, str | None]]:
    """A listening socket for rank 0 and its address, where there is anybody to meet.

    Given away as a socket, not as a port: nobody can connect before it listens, or take the port.
    """
    if size == 1:
        yield None, None
        return
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    address = "{}:{}".format(*listener.getsockname())
    yield listener.detach(), address  # rank 0's store closes it


class Scribe:
    """Takes down what happens in one attempt: for the journal, and for who watches."""

    def __init__(self, journal: Journal, run: str, attempt: int, watch: Watch) -> None:
        self._journal = journal
        self._run = run
        self._attempt = attempt
        self._watch = watch
        self._lock = threading.Lock()  # the other ranks' events come from threads
        self._file = EventFile(journal.folder(run))
        self._backlog: list[Event] = []  # what a full disk did not take; training goes on
        self._last: dict[str, dict[str, Any]] = {}  # the latest of some kinds

    def take(self, line: str) -> None:
        """One event, as a worker sends it."""
        event = Event(**json.loads(line))
        with self._lock:
            self._last[event.kind] = event.data
            self._backlog = [*self._backlog, event][-BACKLOG:]
            with contextlib.suppress(OSError):
                self._file.append(*self._backlog)
                self._backlog = []
            self._watch(event)
