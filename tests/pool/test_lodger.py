"""A worker that stays, seen from the daemon; the test is the worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from turnaround.pool.node.lodger import Lodger

PATIENCE = 60.0  # seconds


class Host:
    """A lodger at its first run, the worker's end of its line, and what became of its runs."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.free = threading.Event()
        self.lodger = Lodger("key", self.ends.append, lambda _: self.free.set())
        self.worker = socket.socket(fileno=os.dup(self.lodger.theirs))
        self.lodger.lodge(1)

    def says(self, code: int) -> None:
        """The worker has ended its run, and would carry out another."""
        self.worker.sendall(json.dumps({"done": code, "stays": True}).encode() + b"\n")
        assert self.free.wait(PATIENCE)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    with closing(host.worker):
        yield host
    host.lodger.ended(0)


def test_who_carries_out_a_run_tells_its_end(host: Host, tmp_path: Path) -> None:
    host.says(0)
    with (tmp_path / "log").open("wb") as log:
        host.lodger.send({"plan": "next"}, [log.fileno()], host.ends.append)
    text, fds, _, _ = socket.recv_fds(host.worker, 1 << 20, 8)
    os.close(*fds)
    assert json.loads(text) == {"fork": {"plan": "next"}}
    host.worker.close()
    host.lodger.ended(-signal.SIGTERM)
    assert host.ends == [0, -signal.SIGTERM]


def test_a_run_that_could_not_be_sent_is_not_its_own(host: Host) -> None:
    host.says(0)
    host.worker.close()
    with pytest.raises(BrokenPipeError):
        host.lodger.send({"plan": "next"}, [], host.ends.append)
    host.lodger.ended(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        host.lodger.send({"plan": "next"}, [], host.ends.append)
    assert host.ends == [0]


def test_a_child_that_outlives_the_worker_does_not_hold_up_who_hears_of_its_end(
    host: Host,
) -> None:
    host.says(0)
    hears = threading.Thread(target=host.lodger.ended, args=[0], daemon=True)  # its end stays open
    hears.start()
    hears.join(PATIENCE)
    assert not hears.is_alive()
    assert host.ends == [0]
