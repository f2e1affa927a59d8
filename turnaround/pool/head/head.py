"""The local Ray head: started without waiting, watched, replaced when it dies, ended by pid.

`ray start` returns 2 to 4 s after its cluster can be used, so nobody waits for it:
`turnaround.pool.head.boot` polls the cluster's store and creates the actors. This process becomes
the subreaper of what `ray start` leaves behind, so that every process of the head is its descendant
and can be ended; `ray stop` would end every Ray on the machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from turnaround.pool.places import LOCAL, Places, Record

log = logging.getLogger(__name__)
_PR_SET_CHILD_SUBREAPER = 36
_VITAL = ("gcs_server", "raylet")
_OBJECT_STORE = 128 << 20  # bytes; the pool moves snapshots, not tensors, through it
_TRIES = 5  # starts in a row that fail and are followed by another


class Head:
    """One Ray head, on loopback unless other machines are to join, and the actors on it."""

    def __init__(self, places: Places, record: Record) -> None:
        self._places = places
        self._record = record
        self._starting: list[subprocess.Popen[bytes]] = []  # ray start, boot
        self._vital: list[psutil.Process] = []
        self.up = False  # its actors answer
        self._down_since: float | None = None
        self._failures = 0
        self.address = ""
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def start(self) -> None:
        """Start Ray and, beside it, the process that will create the actors."""
        self.up = False
        token = self._places.token
        if not token.exists():  # before the head: without one it would be open to everybody
            token.touch(mode=0o600)
            token.write_text(secrets.token_hex(32))
        ports = _free_ports(self._record.address, 4)
        self.address = f"{self._record.address}:{ports[0]}"
        environ = _environ(str(token), self._record.address)
        with (self._places.logs / "ray.log").open("ab") as out:

            def run(*words: str) -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    [sys.executable, "-P", "-m", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    env=environ,
                    cwd="/",
                )

            self._starting = [
                run("ray.scripts.scripts", "start", *self._flags(ports)),
                run("turnaround.pool.head.boot", str(self._places.home), self.address),
            ]

    @property
    def starting(self) -> set[int]:
        """Ids of the processes this one waits for itself."""
        return {process.pid for process in self._starting}

    def died(self) -> bool:
        """Ray is not there any more, or did not come up."""
        if self.up:
            found = sum(_alive(process) for process in self._vital)
            return found < len(_VITAL)  # one may have been gone before it was looked for
        boot = self._starting[1]
        if boot.poll() is None or boot.returncode == 0:
            return False
        self._failures += 1
        return True

    @property
    def given_up(self) -> bool:
        """It did not come up so often that another start would not help."""
        return self._failures > _TRIES

    def came_back(self) -> float | None:
        """Once after each start, when the actors answer: the seconds it was away, if it was."""
        if self.up or self._starting[1].poll() != 0:
            return None
        self._vital = [p for p in psutil.Process().children() if _name(p) in _VITAL]
        self.up = True
        self._failures = 0
        away, self._down_since = self._down_since, None
        return None if away is None else time.monotonic() - away

    def restart(self) -> None:
        """A new head in place of a dead one."""
        self._down_since = self._down_since or time.monotonic()
        self.kill()
        self.start()

    def kill(self) -> None:
        """End every process of the head, the raylet first."""
        _end(sorted(self._processes(), key=lambda process: _name(process) != "raylet"))

    def _flags(self, ports: list[int]) -> list[str]:
        return [
            "--head",
            f"--node-ip-address={self._record.address}",
            f"--port={ports[0]}",
            f"--dashboard-agent-listen-port={ports[1]}",
            f"--metrics-export-port={ports[2]}",
            f"--dashboard-port={ports[3]}",
            f"--temp-dir={self._places.runtime / 'ray'}",
            "--include-dashboard=false",
            "--include-log-monitor=false",
            "--no-monitor",
            "--disable-usage-stats",
            f"--num-cpus={self._record.cpus}",
            f"--num-gpus={self._record.gpus}",
            f"--object-store-memory={_OBJECT_STORE}",
        ]

    def _processes(self) -> list[psutil.Process]:
        """Descendants started with the head's token, or named by Ray."""
        children = psutil.Process().children(recursive=True)
        return [p for p in children if _name(p).startswith("ray") or _marked(p, self._places)]


def reap(own: set[int]) -> None:
    """Take the exit codes of orphans that others left to this subreaper; `own` are waited for."""
    for process in psutil.Process().children():
        if process.pid not in own and _zombie(process):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def sweep(places: Places) -> None:
    """End what a pool that died left behind: processes started with its token."""
    _end([process for process in psutil.process_iter() if _marked(process, places)])


def _environ(token: str, address: str) -> dict[str, str]:
    """Its token, loopback, warm workers kept, and normal priority (Ray's default is nice 15)."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    inside = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # every port on loopback; single node only
    return {
        **kept,
        **(inside if address == LOCAL else {}),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": token,
        "RAY_worker_niceness": "0",
        "RAY_num_workers_soft_limit": "4",
        "OMP_NUM_THREADS": "1",
    }


def _free_ports(address: str, count: int) -> list[int]:
    """Ports that were free a moment ago, outside the range Ray gives its workers."""
    found: list[int] = []
    held = []
    while len(found) < count:
        held.append(socket.create_server((address, 0)))
        port = held[-1].getsockname()[1]
        if not 10002 <= port <= 19999:
            found.append(port)
    for server in held:
        server.close()
    return found


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and not _zombie(process)


def _zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _marked(process: psutil.Process, places: Places) -> bool:
    """Started with this pool's token; Ray's agents overwrite that, but log below its folder."""
    try:
        if _name(process).startswith("ray::"):
            return any(Path(f.path).is_relative_to(places.runtime) for f in process.open_files())
        return bool(process.environ().get("RAY_AUTH_TOKEN_PATH") == str(places.token))
    except psutil.Error:
        return False


def _end(processes: list[psutil.Process]) -> None:
    """Terminate, wait, kill."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=3)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=3)
