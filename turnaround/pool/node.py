"""The node daemon: forkservers, gangs, recorders and, on the head node, the Ray head.

    python -m turnaround.pool.node --home HOME --cpus 2 --gpus 0 --keep-warm 1800

It starts everything that takes long at the same moment (the Ray head 3 s, torch 2 s), and ends
itself when nothing has been asked of it for `keep-warm` seconds. It outlives the Ray head: workers
go on training while a head that was killed is replaced. Requests on its socket, one JSON line each:
hello, start, watch, stop, forget, notice, down.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

import turnaround
from turnaround.errors import LaunchError
from turnaround.journal import Journal
from turnaround.pool import wire
from turnaround.pool.gang import Gang, Placement
from turnaround.pool.head import Head, reap, sweep
from turnaround.pool.nursery import Nursery
from turnaround.pool.places import Places, Record, read_record, write_record
from turnaround.spec import PROTOCOL, Event, Status
from turnaround.tracking import start as recorders

log = logging.getLogger(__name__)
_TICK = 0.5  # seconds between looks at the head, the recorders and the clock
_RECORDERS = 2.0  # seconds between looks for runs without a recorder
_DOWN_GRACE = 40.0  # seconds that gangs and recorders have to save and flush


class Node:
    """Everything this machine does for the pool."""

    def __init__(self, places: Places, record: Record) -> None:
        self.places = places
        self.record = record
        self.journal = Journal(places.home)
        self.head = Head(places, record.cpus, record.gpus)
        self._nurseries: dict[str, Nursery] = {}
        self._gangs: dict[str, Gang] = {}
        self._version = 0  # of the gangs' states
        self._changed = threading.Condition()
        self._nursing = threading.Lock()
        self._busy = time.monotonic()
        self._recorded = 0.0
        self._ending = threading.Event()

    def live(self) -> None:
        """Come up, work until `down` or idle, leave nothing behind."""
        write_record(self.places, self.record)
        wire.serve(self.places.node, self.handle)
        self.head.start()
        self._nursery(self.record.interpreter)
        try:
            while not self._ending.wait(_TICK):
                self._tick()
        finally:
            self._leave()

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the agent or of a command line."""
        match request["op"]:
            case "hello":
                return {"protocol": PROTOCOL, "idle": self._idle(), "head": self.head.address}
            case "start":
                return self._start(
                    request["run"], request["attempt"], Placement(**request["placement"])
                )
            case "watch":
                return self._watch(request["version"], request["timeout"])
            case "stop":
                self._gangs[_key(request)].stop()
            case "forget":
                self._gangs.pop(_key(request), None)
            case "touch":
                self._busy = time.monotonic()
            case "down":
                self._ending.set()
            case other:
                raise LaunchError(
                    f"the node was asked to {other!r}", "command line and pool differ in version"
                )
        return {}

    # ── gangs ──

    def _start(self, run: str, attempt: int, placement: Placement) -> dict[str, Any]:
        """Begin an attempt; asked twice, it begins once."""
        gang = Gang(run, attempt, placement)
        with self._changed:
            if (key := f"{run}/{attempt}") not in self._gangs:
                self._gangs[key] = gang
                self._version += 1
                what = (self.journal, self._nursery, self._tell)
                threading.Thread(target=gang.carry_out, args=what, name=key).start()
            self._busy = time.monotonic()
            return {"version": self._version}

    def _watch(self, version: int, timeout: float) -> dict[str, Any]:
        """The states of all gangs, as soon as they differ from `version`."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout)
            gangs = [gang.state() for gang in self._gangs.values()]
            return {"version": self._version, "gangs": gangs, "incarnation": self.record.created}

    def _tell(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _nursery(self, interpreter: str) -> Nursery:
        """The forkserver of that interpreter, started when it is not there."""
        with self._nursing:
            nursery = self._nurseries.get(interpreter)
            if nursery is None or not nursery.alive:
                nursery = Nursery(interpreter, self.places.logs / "spawn.log")
                self._nurseries[interpreter] = nursery
            return nursery

    # ── looking after ──

    def _tick(self) -> None:
        reap(self.head.starting | {nursery.process.pid for nursery in self._nurseries.values()})
        if self.head.died():
            self._tell_runs(
                "the Ray head died and is being restarted; running workers go on, the queue is kept"
            )
            self.head.restart()
        elif (seconds := self.head.came_back()) is not None:
            self._tell_runs(f"the Ray head is back after {seconds:.1f} s; nothing was lost")
        self._record()
        if self._waiting():
            self._busy = time.monotonic()
        if self._idle() > self.record.keep_warm:
            log.info("idle for %.0f s: leaving", self._idle())
            self._ending.set()

    def _record(self) -> None:
        """See to it that what has not reached MLflow has a recorder."""
        if time.monotonic() - self._recorded < _RECORDERS:
            return
        self._recorded = time.monotonic()
        for run in self.journal.runs("recorded=0 AND tracking<>''", limit=50):
            recorders.ensure(self.places.home, run.tracking, run.interpreter)

    def _waiting(self) -> bool:
        """There is work, or the head is still coming up."""
        gangs = list(self._gangs.values())
        working = any(gang.outcome is None for gang in gangs) or bool(self.journal.queue())
        return working or not self.head.up

    def _idle(self) -> float:
        return time.monotonic() - self._busy

    def _tell_runs(self, message: str) -> None:
        log.warning(message)
        for run in self.journal.queue():
            event = Event("notice", {"message": message}, time.time(), run.attempt)
            self.journal.append(run.id, event)

    # ── leaving ──

    def _leave(self) -> None:
        self.head.kill()  # first: its scheduler would take gangs that leave for gangs that stop
        self._end_gangs()
        for nursery in self._nurseries.values():
            nursery.close()
        recorders.stop(self.places.home)
        for path in (self.places.node, self.places.scheduler, self.places.record):
            path.unlink(missing_ok=True)

    def _end_gangs(self) -> None:
        """Running workers save and leave; their runs wait in the queue for the next pool."""
        gangs = [gang for gang in self._gangs.values() if gang.outcome is None]
        for gang in gangs:
            gang.stop()
        deadline = time.monotonic() + _DOWN_GRACE
        while any(gang.outcome is None for gang in gangs) and time.monotonic() < deadline:
            time.sleep(0.05)
        for gang in gangs:
            run = self.journal.run(gang.run)
            if not run.status.over:
                self.journal.mark(
                    run.id, Status.QUEUED, "the pool went down; goes on with the next one"
                )


def _key(request: dict[str, Any]) -> str:
    return f"{request['run']}/{request['attempt']}"


def main() -> None:
    """The daemon's process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("--keep-warm", type=float, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    record = Record(
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        protocol=PROTOCOL,
        version=turnaround.__version__,
        interpreter=sys.executable,
        cpus=asked.cpus,
        gpus=asked.gpus,
        keep_warm=asked.keep_warm,
        since=time.time(),
    )
    places = Places(asked.home)
    if read_record(places):  # the pool before this one did not leave in good order
        sweep(places)
    node = Node(places, record)
    signal.signal(signal.SIGTERM, lambda *_: node.handle({"op": "down"}))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node.live()


if __name__ == "__main__":
    main()
