"""MLflow's own pages on a store, served on loopback for as long as somebody looks.

with serve(uri, port, log) as server:
    while not server.answers(): …
    server.process.wait()
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from turnaround.tracking.start import ENVIRON, database

HOST = "127.0.0.1"
USUAL = 5000  # where people expect MLflow
GRACE = 5.0  # seconds in which it may end by itself


@dataclass(frozen=True)
class Server:
    """The pages while they are served."""

    process: subprocess.Popen[bytes]
    port: int

    def page(self, place: str, **asked: str) -> str:
        """The address of a page, such as `experiments/1/runs/…`."""
        words = urllib.parse.urlencode({"workflowType": "machine_learning", **asked})
        return f"http://{HOST}:{self.port}/#/{place}?{words}"

    def answers(self) -> bool:
        """Whether the pages can be opened already."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/health", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def serve(uri: str, port: int, log: Path) -> Iterator[Server]:
    """MLflow's server on `uri`; when the block ends no process of it is left."""
    asked = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port), "--workers", "1"]
    file = database(uri)
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "ui", *asked],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            cwd=file.parent if file else None,  # where a new experiment made there puts its files
            env={**os.environ, **ENVIRON},
            start_new_session=True,  # a group of its own: it is ended as one
        )
    try:
        yield Server(process, port)
    finally:
        _end(process)


def free_port() -> int:
    """MLflow's usual port, or any other when that is taken."""
    for port in (USUAL, 0):
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((HOST, port))
            return int(trial.getsockname()[1])
    raise OSError(f"no free port on {HOST}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server's whole group: MLflow's command and the server below it."""
    try:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(GRACE)
    finally:  # also when a second Ctrl-C says that this takes too long
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
