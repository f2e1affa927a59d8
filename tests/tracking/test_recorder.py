"""The recorder as a process: one at a time, killed, told to end, left alone."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.workshop import Workshop
from turnaround.spec import Status
from turnaround.tracking import recorder
from turnaround.tracking.rounds import Rounds
from turnaround.tracking.start import Lock, ensure, files, holder, lag, stop

RUN = "seq2seq-22222"


def until(true: Callable[[], object], seconds: float = 100.0) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def record(workshop: Workshop, linger: float) -> subprocess.Popen[bytes]:
    """A recorder that is this test's own child."""
    words = ["--home", str(workshop.home), "--uri", workshop.uri, "--linger", str(linger)]
    return subprocess.Popen(
        [sys.executable, "-m", "turnaround.tracking.recorder", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_recorder_killed_on_the_way_loses_and_doubles_nothing(workshop: Workshop) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 3001))
    with record(workshop, 30) as child:
        until(lambda: len(workshop.rows()) > 1000)
        child.kill()
    assert len(workshop.rows()) < 13_000
    workshop.end(RUN)
    ensure(workshop.home, workshop.uri, sys.executable)
    until(lambda: workshop.journal.run(RUN).recorded)
    rows = [
        (key, step) for key, step, *_ in workshop.rows() if not key.startswith(("system/", "wall/"))
    ]
    assert len(rows) == len(set(rows))
    names = {name: sum(key == name for key, _ in rows) for name in {key for key, _ in rows}}
    assert names == {
        "train/loss": 3000,
        "epoch": 3000,
        "examples": 3000,
        "seconds": 3000,
        "valid/loss": 600,
        "valid/bleu": 600,
        "valid/best/bleu": 1,
        "test/bleu": 1,
    }


@pytest.mark.slow
def test_of_many_recorders_one_lives_and_leaves_when_nothing_is_left(workshop: Workshop) -> None:
    workshop.submit(RUN)
    crowd = [record(workshop, 1.5) for _ in range(3)]
    try:
        until(lambda: sum(child.poll() is None for child in crowd) == 1)
        (alive,) = [child for child in crowd if child.poll() is None]
        assert [child.wait() for child in crowd if child is not alive] == [0, 0]
        assert holder(files(workshop.home, workshop.uri).lock) == alive.pid
        ensure(workshop.home, workshop.uri, sys.executable)  # finds it and starts none
        assert workshop.processes() == [alive.pid]
        workshop.end(RUN)
        until(lambda: workshop.journal.run(RUN).recorded)
        assert alive.wait(90) == 0
    finally:
        for child in crowd:
            child.kill()
            child.wait()


@pytest.mark.slow
def test_a_detached_recorder_that_is_told_to_end_writes_what_it_can_first(
    workshop: Workshop,
) -> None:
    workshop.submit(RUN)
    ensure(workshop.home, workshop.uri, sys.executable)
    until(workshop.rows)
    (pid,) = workshop.processes()
    assert os.getsid(pid) != os.getsid(0)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 10
    workshop.train(RUN, range(1, 11))
    workshop.end(RUN, Status.STOPPED)
    assert stop(workshop.home, patience=90) == [pid]
    assert workshop.journal.run(RUN).recorded
    until(lambda: not workshop.processes())
    assert stop(workshop.home) == []


def test_a_recorder_that_does_not_listen_is_killed(workshop: Workshop) -> None:
    workshop.submit(RUN)
    with record(workshop, 60) as child:
        until(lambda: holder(files(workshop.home, workshop.uri).lock))
        child.send_signal(signal.SIGSTOP)
        assert stop(workshop.home, patience=0.2) == [child.pid]
        assert child.wait(10) == -signal.SIGKILL


def test_where_mlflow_cannot_be_imported_it_says_so_and_waits(
    workshop: Workshop, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "turnaround.tracking.rounds", None)
    asked = argparse.Namespace(home=workshop.home, uri=workshop.uri, linger=0.0)
    naps: list[float] = []

    def sleep(seconds: float) -> bool:
        naps.append(seconds)
        return False

    assert not recorder._record(asked, lock, sleep)
    assert naps == [recorder.RETRY]
    told = lag(workshop.home, workshop.uri)
    assert told is not None
    assert told.error.startswith(f"{sys.executable} cannot import MLflow: ")


class Calm:
    """Rounds in which the recorder is told what to see."""

    def __init__(self, left: list[bool], failing: float = 0.0, running: bool = False) -> None:
        self.left = left
        self.failing = failing
        self.running = running
        self.pause = 0.01

    def ended(self) -> bool:
        return False

    def go(self) -> bool:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def work(calm: Calm, lock: Lock, told: Callable[[float], bool], linger: float = 0.05) -> bool:
    return recorder._work(cast(Rounds, calm), lock, told, linger)


def sleep(seconds: float) -> bool:
    """A pause in which nobody tells it to end."""
    time.sleep(seconds)
    return False


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    return Lock(tmp_path / "pool" / "recorder.lock")


def test_it_leaves_some_time_after_the_last_run(lock: Lock) -> None:
    calm = Calm([True, True, False])
    assert work(calm, lock, sleep)
    assert calm.left == [False]


def test_it_leaves_when_its_home_was_removed(lock: Lock, tmp_path: Path) -> None:
    def remove(_: float) -> bool:
        shutil.rmtree(tmp_path / "pool")
        return False

    assert not work(Calm([True]), lock, remove)


def test_it_gives_up_on_finished_runs_but_not_on_running_ones(lock: Lock) -> None:
    assert not work(Calm([True], failing=3601), lock, sleep)
    naps = iter([False, False, True])
    assert not work(Calm([True], failing=3601, running=True), lock, lambda _: next(naps))
    assert list(naps) == []


def test_a_lock_names_the_process_that_holds_it(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "pool" / "recorder.lock"
    assert holder(path) is None
    assert lock.take()
    assert holder(path) == os.getpid()
    assert not Lock(path).take()
    lock.release()
    assert holder(path) is None
