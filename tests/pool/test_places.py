"""The record of the pool that is up: whose it is, and that it is believed only while that lives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from turnaround.pool import places
from turnaround.pool.places import Places, Record, birth, living, owner, read_record, write_record


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name is a riddle for who reads /proc."""
    odd = tmp_path / "a) R 1 (b"
    shutil.copy("/bin/sleep", odd)
    with subprocess.Popen([odd, "60"]) as process:
        yield process
        process.kill()


def recorded(home: Path, pid: int) -> Record:
    """The record of a pool with that process."""
    created = psutil.Process(pid).create_time()
    write_record(Places(home), Record(pid, created, 1, "0", sys.executable, 2, 0, 60.0, 0.0))
    record = read_record(Places(home))
    assert record is not None
    return record


def test_a_pool_lives_on_when_the_clock_is_set(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, mine = recorded(tmp_path, sleeper.pid), owner()
    created = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 3600)
    assert record.alive
    assert living(mine) == os.getpid()


def test_a_process_that_ended_is_not_alive_before_or_after_it_is_waited_for(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    record = recorded(tmp_path, sleeper.pid)
    alive = [record.alive]
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    alive.append(record.alive)
    sleeper.wait()
    alive.append(record.alive)
    assert alive == [True, False, False]
    assert birth(sleeper.pid) == ""


def test_another_process_of_the_same_id_or_after_another_boot_is_not_it() -> None:
    boot, _, ticks = birth(os.getpid()).rpartition("/")
    assert living(f"{os.getpid()}:{boot}/{ticks}") == os.getpid()
    assert living(f"{os.getpid()}:{boot}/{int(ticks) + 1}") is None
    assert living(f"{os.getpid()}:another/{ticks}") is None
    assert living("") is None


def test_what_says_only_the_time_of_day_counts_as_dead(tmp_path: Path) -> None:
    created = psutil.Process().create_time()
    assert living(f"{os.getpid()}:{created}") is None
    recorded(tmp_path, os.getpid())
    told = json.loads(Places(tmp_path).record.read_text())
    del told["birth"]
    Places(tmp_path).record.write_text(json.dumps(told))
    record = read_record(Places(tmp_path))
    assert record is not None
    assert not record.alive


def test_where_no_boot_has_a_name_the_time_of_day_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_BOOT", tmp_path / "boot_id")
    assert birth(os.getpid()) == str(psutil.Process().create_time())
    assert living(owner()) == os.getpid()


def test_sockets_are_where_the_pool_that_is_up_has_them(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    its, ours = tmp_path / "its", tmp_path / "ours"
    monkeypatch.setattr(tempfile, "tempdir", str(its))
    recorded(tmp_path, sleeper.pid)
    monkeypatch.setattr(tempfile, "tempdir", str(ours))
    known = Places(tmp_path)
    assert [known.node.parent.parent, known.scheduler.parent.parent] == [its, its]
    sleeper.kill()
    sleeper.wait()
    assert known.node.parent.parent == ours
