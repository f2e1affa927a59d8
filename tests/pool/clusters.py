"""A Ray head with its dashboard and a token, as somebody else would have started it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

COME_UP = 200.0  # seconds; 12 on a quiet machine
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cluster:
    """A cluster that this machine's command line knows by an address and a token only."""

    address: str
    token: Path
    home: Path  # its own $TURNAROUND_HOME
    ray: psutil.Process


@contextlib.contextmanager
def cluster(folder: Path, python: str = sys.executable, cpus: int = 2) -> Iterator[Cluster]:
    """One on this machine, gone afterwards with all that was started on it."""
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    ports = free_ports(5)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "TURNAROUND_"))}
    environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    environ |= {"TURNAROUND_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    environ["PATH"] = f"{Path(python).parent}:{environ['PATH']}"  # jobs say `python`
    words = ["--head", "--block", "--include-dashboard=true", "--disable-usage-stats"]
    words += [f"--num-cpus={cpus}", "--num-gpus=0", "--dashboard-host=127.0.0.1"]
    # Not below pytest's own: the name of a Unix socket has 107 characters at most.
    short = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
    words += ["--node-ip-address=127.0.0.1", f"--temp-dir={short.name}"]
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port")
    words += [f"--{name}={port}" for name, port in zip(names, ports, strict=False)]
    words += [f"--object-store-memory={128 << 20}", "--include-log-monitor=false"]
    with (folder / "said.txt").open("wb") as said:
        ray = subprocess.Popen(
            [python, "-P", "-m", "ray.scripts.scripts", "start", *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environ,
            start_new_session=True,
            cwd="/",
        )
    process = psutil.Process(ray.pid)
    made = Cluster(f"http://127.0.0.1:{ports[1]}", token, folder / "home", process)
    try:
        _await(made, folder)
        yield made
    finally:
        _end(made, ray)
        short.cleanup()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def _await(made: Cluster, folder: Path) -> None:
    deadline = time.monotonic() + COME_UP
    headers = {"Authorization": f"Bearer {made.token.read_text()}"}
    request = urllib.request.Request(f"{made.address}/api/v0/nodes", headers=headers)
    while time.monotonic() < deadline and made.ray.is_running():
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as said:
            if json.load(said)["data"]["result"]["result"]:
                return
        time.sleep(0.2)
    raise AssertionError((folder / "said.txt").read_text()[-3000:])


def _end(made: Cluster, ray: subprocess.Popen[bytes]) -> None:
    """Ray, then what its processes have left: each by its id, found by the token it was given."""
    found = [*made.ray.children(recursive=True), *_marked(made)]
    for process in [made.ray, *found]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    ray.wait(10)
    psutil.wait_procs(found, timeout=5)


def _marked(made: Cluster) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TURNAROUND_HOME") == str(made.home):
                yield process
