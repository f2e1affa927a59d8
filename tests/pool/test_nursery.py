"""A fork that is refused, from the forkserver to who asked for it; the machine is not full."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from turnaround.errors import LaunchError
from turnaround.pool.node.nursery import Nursery

ROOT = Path(__file__).parents[2]
SERVER = f"""#!{sys.executable}
import contextlib, os, socket, sys
from turnaround.pool.node import spawn

fork, refusals = os.fork, [BlockingIOError(11, "Resource temporarily unavailable")]

def sometimes():
    if refusals:
        raise refusals.pop()
    return fork()

os.fork = sometimes
spawn._child = lambda request, fds: os._exit(7)
line = socket.socket(fileno=int(sys.argv[-1]))
spawn._say(line, {{"ready": spawn.PROTOCOL}})
while spawn._serve(line):
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    spawn._reap(line)
"""


@pytest.fixture
def nursery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """One whose forkserver has no torch, and is refused its first fork."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    server = tmp_path / "server"
    server.write_text(SERVER)
    server.chmod(0o700)
    nursery = Nursery(str(server), tmp_path / "log.txt")
    yield nursery
    nursery.close()


def test_a_refused_fork_costs_its_own_run_only(nursery: Nursery) -> None:
    ended: queue.Queue[int] = queue.Queue()
    reading, writing = os.pipe()
    with open(reading) as said:
        with pytest.raises(LaunchError, match=r"forked: .* Resource temporarily unavailable"):
            nursery.fork({}, [writing], ended.put)
        os.close(writing)
        assert said.read() == ""  # nor has the forkserver kept what it was given
    assert nursery.fork({}, [], ended.put) > 0
    assert ended.get(timeout=60) == 7
    assert nursery.alive
