"""What a machine does for its gangs: forkservers, workers, and words for the scheduler.

    python -m turnaround.pool.node.node --home HOME --address 10.0.0.7    # on a machine that joined

It starts the forkserver's imports at once (torch 2 s), so that workers fork warm, and leaves when
no agent has asked it anything for a while: then the machine is not the cluster's any more. Requests
on its socket, one JSON line each: hello, start, watch, stop, hurry, stacks, errand, forget, down.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

import turnaround
from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal
from turnaround.pool.messages import wire
from turnaround.pool.messages.post import Outbox, opened
from turnaround.pool.node import errand
from turnaround.pool.node.cores import Cores
from turnaround.pool.node.gang import Gang, Meeting, Placement
from turnaround.pool.node.nursery import Nursery
from turnaround.pool.places import Places, Record, write_record
from turnaround.spec import PROTOCOL

log = logging.getLogger(__name__)
TICK = 0.5  # seconds between looks at what has to be looked after
_NEWS = 0.1  # seconds between looks for what workers said that the scheduler cannot read itself
_SILENCE = 40.0  # seconds without an agent; Ray restarts one in 1.5
_DOWN_GRACE = 40.0  # seconds that gangs have to save


class Node:
    """Everything a machine does for the pool. This one has joined somebody else's."""

    def __init__(self, places: Places, record: Record) -> None:
        self.places = places
        self.record = record
        self.journal = Journal(places.home)
        self.cores = Cores(_cores(record), Path(tempfile.gettempdir()))
        self.nurseries: dict[str, Nursery] = {}
        self.gangs: dict[str, Gang] = {}
        self.ending = threading.Event()
        self.asked = time.monotonic()
        self._outboxes: dict[str, Outbox] = {}  # of gangs whose run has its folder elsewhere
        self._version = 0  # of the gangs' states
        self._changed = threading.Condition()
        self._nursing = threading.Lock()

    def live(self) -> None:
        """Come up, work until `down` or forgotten, leave nothing behind."""
        write_record(self.places, self.record)
        wire.serve(self.places.node, self.handle)
        self.begin()
        self._nursery(self.record.interpreter)
        try:
            while not self.ending.wait(TICK):
                try:
                    self.tick()
                except (TurnaroundError, OSError, sqlite3.Error) as error:
                    log.warning("looking after things failed, trying again: %s", error)
        finally:
            self.leave()

    def begin(self) -> None:
        """What else is started."""

    def tick(self) -> None:
        """Twice a second: a machine that nobody asks anything is no part of a cluster."""
        if time.monotonic() - self.asked > _SILENCE:
            log.info("no agent for %.0f s: leaving", _SILENCE)
            for gang in self.gangs.values():  # another attempt may be under way without them
                gang.stop(grace=0)
            self.ending.set()

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the agent or of a command line."""
        self.asked = time.monotonic()
        match request["op"]:
            case "hello":
                return self.hello()
            case "start":
                return self._start(request)
            case "watch":
                return self._watch(request)
            case "stop":
                self.gangs[_key(request)].stop(**request.get("how", {}))
            case "hurry":
                self.gangs[_key(request)].hurry()
            case "stacks":
                return self.gangs[_key(request)].stacks(self.journal.folder(request["run"]))
            case "errand":
                return errand.carry_out(request, self._nursery)
            case "forget":
                self._forget(request)
            case "down":
                self.ending.set()
            case other:
                raise LaunchError(
                    f"the node was asked to {other!r}", "command line and pool differ in version"
                )
        return {}

    def hello(self) -> dict[str, Any]:
        """Who answers."""
        return {"protocol": PROTOCOL, "version": turnaround.__version__, "time": time.time()}

    # ── gangs ──

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin an attempt; asked twice, it begins once."""
        key = _key(request)
        with self._changed:
            if key not in self.gangs:
                gang = self._gang(request)
                gang.meet(request["size"])
                self.gangs[key] = gang
                self._version += 1
                what = (self.journal, self._nursery, self.cores, self._tell)
                threading.Thread(target=gang.carry_out, args=what, name=key).start()
            return {"version": self._version, "store": self.gangs[key].meet(request["size"])}

    def _gang(self, request: dict[str, Any]) -> Gang:
        """Where the run has its folder elsewhere, `plan` comes along."""
        if "plan" in request:
            folder = self.journal.folder(request["run"])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "plan.json").write_text(request["plan"])
            self._outboxes[_key(request)] = Outbox(folder)
        meeting = Meeting(self.record.address, request.get("store"))
        placement = Placement(**request["placement"])
        return Gang(request["run"], request["attempt"], placement, meeting)

    def _watch(self, request: dict[str, Any]) -> dict[str, Any]:
        """The states of all gangs, as soon as they differ from `version`, and what they said."""
        deadline = time.monotonic() + request["timeout"]
        for key, upto in request.get("heard", {}).items():
            if key in self._outboxes:
                self._outboxes[key].heard(upto)
        with self._changed:
            while self._version == request["version"] and self._silent():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _NEWS) if self._outboxes else left)
            gangs = [gang.state() for gang in self.gangs.values()]
            said = {"version": self._version, "incarnation": self.record.created}
        news = {key: box.news() for key, box in self._outboxes.items() if not box.empty}
        held = {key for key, new in news.items() if new["more"]}  # ends that are told too early
        return {**said, "gangs": [opened(gang, held) for gang in gangs], "news": news}

    def _silent(self) -> bool:
        return all(box.empty for box in self._outboxes.values())

    def _forget(self, request: dict[str, Any]) -> None:
        """The end of a gang is in the journal; where that is elsewhere, nothing is kept here."""
        key = _key(request)
        self.gangs.pop(key, None)
        others = [gang for gang in self.gangs.values() if gang.run == request["run"]]
        if self._outboxes.pop(key, None) and not others:
            shutil.rmtree(self.journal.folder(request["run"]), ignore_errors=True)

    def _tell(self) -> None:
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def _nursery(self, interpreter: str) -> Nursery:
        """The forkserver of that interpreter, started when it is not there."""
        with self._nursing:
            nursery = self.nurseries.get(interpreter)
            if nursery is None or not nursery.alive:
                nursery = Nursery(interpreter, self.places.logs / "spawn.log")
                self.nurseries[interpreter] = nursery
            return nursery

    # ── leaving ──

    def leave(self) -> None:
        """Running workers save and leave."""
        self.end_gangs()
        for nursery in self.nurseries.values():
            nursery.close()
        for path in (self.places.node, self.places.record):
            path.unlink(missing_ok=True)

    def end_gangs(self) -> None:
        """Those that are running save and leave, or have had the time to."""
        gangs = [gang for gang in self.gangs.values() if gang.outcome is None]
        for gang in gangs:
            gang.stop()
        deadline = time.monotonic() + _DOWN_GRACE
        while any(gang.outcome is None for gang in gangs) and time.monotonic() < deadline:
            time.sleep(0.05)


def _cores(record: Record) -> set[int]:
    """Those that runs can be bound to; none where others may use more of them than we do."""
    found = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    return found if len(found) == record.cpus else set()


def _key(request: dict[str, Any]) -> str:
    return f"{request['run']}/{request['attempt']}"


def become(make: Callable[[Places, Record], Node]) -> None:
    """The life of a daemon's process, by the words of its command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--cpus", type=int, default=0)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--keep-warm", type=float, default=0.0)
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
        address=asked.address,
    )
    node = make(Places(asked.home), record)
    signal.signal(signal.SIGTERM, lambda *_: node.ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node.live()


if __name__ == "__main__":
    become(Node)
