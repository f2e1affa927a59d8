"""A pool that is told to go, as a command line does it; its daemon is a small one made here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from turnaround.launch import pool
from turnaround.launch.pool import Pool
from turnaround.pool.places import Places, read_record

DAEMON = """
import os, signal, sys, threading, time
from pathlib import Path
from turnaround.pool.messages import wire
from turnaround.pool.places import Places, Record, write_record

places, how = Places(Path(sys.argv[1])), sys.argv[2]
told = threading.Event()

def hear(request):
    (places.home / "heard").write_text(request["op"])
    told.set()
    return {}

signal.signal(signal.SIGTERM, lambda *_: how == "stubborn" or told.set())
write_record(places, Record(os.getpid(), time.time(), 1, "0", "python", 2, 0, 60.0, 0.0))
wire.serve(places.node, hear)
print("up", flush=True)
while not told.wait(0.02):
    pass
(places.home / "saved").touch()
places.record.unlink()
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A daemon that is up, with a TMPDIR of its own; its home."""
    home, started = tmp_path / "home", []
    short = Path(tempfile.mkdtemp(prefix="ta-"))  # for the name of a socket

    def make(how: str) -> Path:
        words = [sys.executable, "-c", DAEMON, str(home), how]
        environ = {"TMPDIR": str(short), "PYTHONPATH": str(Path(__file__).parents[2])}
        daemon = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE)
        started.append(daemon)
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"up\n"
        return home

    yield make
    for daemon in started:
        with daemon:
            daemon.kill()
    shutil.rmtree(short)


def test_a_pool_with_another_tmpdir_hears_that_it_is_to_go(up: Callable[[str], Path]) -> None:
    home = up("good")
    assert Pool(home).down(print)
    assert (home / "heard").read_text() == "down"
    assert (home / "saved").exists()


def test_a_pool_whose_socket_is_gone_still_saves(
    up: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_LEAVE", 5.0)
    home = up("good")
    Places(home).node.unlink()
    assert Pool(home).down(print)
    assert not (home / "heard").exists()
    assert (home / "saved").exists()


def test_of_a_pool_that_had_to_be_killed_nothing_is_left(
    up: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_LEAVE", 0.2)
    swept: list[Places] = []
    monkeypatch.setattr(pool, "sweep", swept.append)
    home = up("stubborn")
    Places(home).node.unlink()
    assert Pool(home).down(print)
    assert not (home / "saved").exists()
    assert read_record(Places(home)) is None
    assert swept == [Places(home)]
