"""The warm pool, seen from a command line: start it when needed, hand it runs, stop them.

    pool = Pool(home())
    pool.ensure(print)                     # two at once start one
    run, known = pool.submit(plan)         # known: that question is being answered already

Nothing here imports Ray: requests go over the scheduler's unix socket.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

import turnaround
from turnaround.errors import LaunchError
from turnaround.journal import Journal, Run
from turnaround.pool import machines
from turnaround.pool.head.head import sweep
from turnaround.pool.machines import Machine
from turnaround.pool.messages import wire
from turnaround.pool.places import LOCAL, Places, Record, read_record
from turnaround.spec import PROTOCOL, Assignment, Cluster, Inventory, Plan, to_dict
from turnaround.tracking import start as recorders

KEEP_WARM = 1800.0  # seconds
_COME_UP = 90.0  # seconds; 4 s on a quiet machine
_AWAY = 30.0  # seconds the scheduler may be away while Ray restarts it or its head
_LEAVE = 60.0  # seconds; gangs have 30 of them to save
Say = Callable[[str], None]


class Pool:
    """The pool of one home on this machine."""

    def __init__(self, home: Path) -> None:
        self.places = Places(home)
        self.journal = Journal(home)

    def ensure(
        self,
        say: Say,
        inventory: Inventory,
        keep_warm: float | None = None,
        address: str = LOCAL,
    ) -> bool:
        """Make sure that a pool is up; True when this call started it.

        With an `address` of this machine others may join it; without, nothing outside reaches it.
        """
        while True:
            with _lock(self.places.pool / "lock"):
                started = self._usable(say) is None
                if started:
                    say("starting the pool (once; it stays warm)")
                    self._start(inventory, keep_warm or KEEP_WARM, address)
            if self._answers(_COME_UP if started else _AWAY) and self.record():
                return started
            if started:  # else it was being killed while we asked
                raise LaunchError("the pool did not come up", self._why)

    def submit(
        self, plan: Plan, again: bool = False, spans: dict[str, Any] | None = None
    ) -> tuple[Run, bool]:
        """Queue the plan. (run, whether it was there already); `spans`: what came before."""
        asked = {"op": "submit", "plan": to_dict(plan), "again": again, "spans": spans}
        asked["since"] = time.time()
        reply = self._patient(asked)
        return self.journal.run(reply["run"]), reply["known"]

    def stop(self, run: str, reason: str = "stopped by its user") -> None:
        """Ask the run to save and end; it is over when the journal says so."""
        self._patient({"op": "stop", "run": run, "reason": reason})

    def resume(self, run: str, spans: dict[str, Any] | None = None) -> None:
        """Queue a run that was stopped or failed; it goes on from its checkpoint."""
        self._patient({"op": "resume", "run": run, "spans": spans})

    def errand(self, plan: Path, given: Assignment, patience: float) -> list[str]:
        """The events of a short job in a warm child, lines of JSON; OSError where no pool is up.

        It has so many seconds.
        """
        asked = {"op": "errand", "plan": str(plan), "assignment": to_dict(given)}
        late = patience + _AWAY
        told = wire.ask(self.places.node, {**asked, "patience": patience}, timeout=late)
        lines: list[str] = told["lines"]
        return lines

    def queue(self, most: int) -> tuple[dict[str, str], int] | None:
        """Who goes first of those that wait, and why they do; and how many. None: nobody knows."""
        try:
            said = wire.ask(self.places.scheduler, {"op": "queue", "most": most}, timeout=5)
        except (OSError, LaunchError):  # none is up, or it is of another version
            return None
        return {told["run"]: told["reason"] for told in said["runs"]}, said["count"]

    def record(self) -> Record | None:
        """The pool that is up."""
        record = read_record(self.places)
        return record if record and record.alive else None

    def machines(self) -> list[Machine]:
        """What the pool that is up is made of; nothing when none is."""
        record = self.record()
        return machines.read(self.places, record) if record else []

    def inventory(self, cluster: Cluster) -> Inventory | None:
        """What a plan may use of the pool that is up; PlanError when its hints fit nothing."""
        return machines.inventory(self.machines(), cluster) if self.record() else None

    def status(self) -> dict[str, Any]:
        """What there is to say about the pool, as plain JSON types."""
        if (record := self.record()) is None:
            return {"running": False}
        queue = self.journal.queue()
        told: dict[str, Any] = {"running": True, "pid": record.pid, "since": record.since}
        have = machines.inventory(self.machines(), Cluster())
        told |= {"inventory": asdict(have), "machines": len(self.machines())}
        told |= {"running_runs": [run.id for run in queue if run.status == "RUNNING"]}
        told |= {"queued_runs": [run.id for run in queue if run.status != "RUNNING"]}
        told |= {"keep_warm": record.keep_warm, "interpreter": record.interpreter}
        told |= {"version": record.version, "protocol": record.protocol}
        with contextlib.suppress(OSError):
            hello = wire.ask(self.places.node, {"op": "hello"}, timeout=5)
            told |= {"idle_seconds": hello["idle"], "address": hello["head"]}
        return told

    def down(self, say: Say) -> bool:
        """End the pool and every process of it; False when none was up.

        Running runs save, are queued again, and go on with the next pool.
        """
        with _lock(self.places.pool / "lock"):
            record = self.record()
            if record:
                self._end(record, say)
            if self.places.record.exists():  # it died without leaving
                sweep(self.places)
                self.places.record.unlink()
            recorders.stop(self.places.home)  # inline runs leave theirs for half a minute
        return record is not None

    # ── starting and ending ──

    def _usable(self, say: Say) -> Record | None:
        """The pool that is up, if this turnaround can talk to it."""
        record = self.record()
        if record is None or (
            record.protocol == PROTOCOL and record.version == turnaround.__version__
        ):
            return record
        if self.journal.queue():
            raise LaunchError(
                f"a busy pool of version {record.version} is up; this is {turnaround.__version__}",
                "wait until it is idle, or `turnaround down` (its runs are saved and go on)",
            )
        say(f"replacing the idle pool of turnaround {record.version}")
        self._end(record, say)
        return None

    def _start(self, inventory: Inventory, keep_warm: float, address: str) -> None:
        places = self.places
        command = [sys.executable, "-P", "-m", "turnaround.pool.head.headnode"]
        command += ["--home", str(places.home), "--address", address]
        command += ["--cpus", str(inventory.cpus), "--gpus", str(inventory.gpus)]
        command += ["--keep-warm", str(keep_warm)]
        with (places.logs / "pool.log").open("ab") as log:
            told = subprocess.run(
                ["/bin/sh", "-c", '"$0" "$@" 1>&2 & echo $!', *command],  # nobody's child
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # closing the terminal must not end the pool
                cwd="/",
            )
        deadline = time.monotonic() + _COME_UP
        while self.record() is None or not places.node.exists():
            if not psutil.pid_exists(int(told.stdout)) or time.monotonic() > deadline:
                raise LaunchError("the pool did not come up", self._why)
            time.sleep(0.01)

    @property
    def _why(self) -> str:
        return f"the last lines of {self.places.logs}/pool.log say why"

    def _end(self, record: Record, say: Say) -> None:
        if running := [run.id for run in self.journal.queue() if run.status == "RUNNING"]:
            say(f"saving {', '.join(running)}: they go on with the next pool")
        try:
            wire.ask(self.places.node, {"op": "down"}, timeout=5)
        except OSError:  # nobody hears us there; the signal says the same
            with contextlib.suppress(psutil.Error):
                psutil.Process(record.pid).terminate()
        deadline = time.monotonic() + _LEAVE
        while record.alive:
            if time.monotonic() > deadline:
                with contextlib.suppress(psutil.Error):
                    psutil.Process(record.pid).kill()
            time.sleep(0.05)

    # ── asking ──

    def _answers(self, patience: float) -> bool:
        """The scheduler does; False when the pool has gone meanwhile."""
        try:
            self._patient({"op": "ping"}, patience)
        except LaunchError:
            if self.record():
                raise
            return False
        return True

    def _patient(self, request: dict[str, Any], patience: float = _AWAY) -> dict[str, Any]:
        """Ask the scheduler, and again while it is being started or restarted."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return wire.ask(self.places.scheduler, request, timeout=patience)
            except OSError as error:
                if self.record() is None:
                    raise LaunchError("no pool is up", "turnaround up") from error
                if time.monotonic() > deadline:
                    raise LaunchError(
                        f"the pool is up, but its scheduler has not answered for {patience:.0f} s",
                        f"turnaround doctor; {self.places.logs}/pool.log and ray.log say more",
                    ) from error
                time.sleep(0.02)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One at a time among the command lines of this home."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
