"""The agent: a Ray actor on every machine, through which the scheduler reaches that machine.

    agent = Agent(home)                # where the pool was started: its daemon is there
    agent = Envoy("10.0.0.7")          # on a machine that joined: it sees to it that one is there
    agent.ask({"op": "watch", …})      # the daemon's reply
    agent.keep("snapshots/3f1c…", parcel)      # bytes that came through Ray's object store

What a machine is at, its daemon knows (`node.py`): an actor may be restarted at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from turnaround import journal
from turnaround.errors import DataError, LaunchError
from turnaround.pool.messages import wire
from turnaround.pool.places import Places, read_record
from turnaround.snapshot import fingerprint, parcel
from turnaround.spec import Data

_COME_UP = 30.0  # seconds; 1 on a quiet machine
_GPUS = "CUDA_VISIBLE_DEVICES"


class Agent:
    """Passes requests on. It holds no state, so Ray may restart it at any time."""

    def __init__(self, home: str) -> None:
        self.places = Places(Path(home))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The node daemon's reply."""
        try:
            return wire.ask(self.places.node, request, timeout=60)
        except OSError as error:
            raise LaunchError(
                f"the node daemon does not answer: {error}", "turnaround up"
            ) from error

    # ── what travels ──

    def about(self, interpreter: str) -> dict[str, str]:
        """Where things are here: the home, and that Python or else our own."""
        known = os.access(interpreter, os.X_OK)
        return {
            "home": str(self.places.home),
            "interpreter": interpreter if known else sys.executable,
        }

    def lacks(self, names: list[str]) -> list[str]:
        """Which of these folders below the home are not here."""
        return [name for name in names if not (self.places.home / name).is_dir()]

    def keep(self, name: str, packed: bytes) -> None:
        """The folder, from its bytes."""
        parcel.unpack(packed, self.places.home / name)

    def give(self, name: str) -> bytes | None:
        """The bytes of a folder; none when it is there no longer."""
        folder = self.places.home / name
        return parcel.pack(folder) if folder.is_dir() else None

    def has_data(self, data: Data, project: str, known: str) -> bool:
        """The files that `data` names are on this machine too, with the same content."""
        try:
            return fingerprint(data, Path(project), self.places.home) == known
        except DataError:
            return False


class Envoy(Agent):
    """The agent of a machine that joined: by `ray start`, with nothing else of ours."""

    def __init__(self, address: str, home: str | None = None) -> None:
        # A folder of its own: machines, or two nodes on one, may share a home.
        super().__init__(home or str(journal.home() / "nodes" / address))
        self._address = address
        self._starting = threading.Lock()
        self._start()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The node daemon's reply; one that died is replaced."""
        with self._starting:
            self._start()
        return super().ask(request)

    def _start(self) -> None:
        record = read_record(self.places)
        if record and record.alive and self.places.node.exists():
            return
        words = [sys.executable, "-P", "-m", "turnaround.pool.node.node"]
        words += ["--home", str(self.places.home), "--address", self._address]
        with (self.places.logs / "node.log").open("ab") as log:
            started = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ray ends an actor's process group with the actor
                env=_environ(),
                cwd="/",
            )
        deadline = time.monotonic() + _COME_UP
        while not self.places.node.exists() or read_record(self.places) in (None, record):
            if started.poll() is not None or time.monotonic() > deadline:
                said = f"{self.places.logs}/node.log on {self._address} says why"
                raise LaunchError("the machine's daemon did not come up", said)
            time.sleep(0.02)


def _environ() -> dict[str, str]:
    """What a daemon gets of our environment, with the GPUs that `ray start` was given.

    From an actor that asks for none Ray 2.52 hides them all, 2.60 none; the raylet, which started
    this process, has their names in either case.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_") and k != _GPUS}
    given = psutil.Process(os.getppid()).environ().get(_GPUS)
    return kept if given is None else {**kept, _GPUS: given}
