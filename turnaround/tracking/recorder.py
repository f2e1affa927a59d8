"""The one process that writes to MLflow: from the event files of runs, about once a second.

    python -m turnaround.tracking.recorder --home $TURNAROUND_HOME --uri sqlite:////…/mlflow.db

Training never waits for it and never hears of it. While MLflow is away (a server down, a disk
read-only) it tries again, in the end every ten seconds; events wait on disk. A sweep under way and
its trials are seen to every twenty seconds, and once it is over: they need the cores themselves. It
leaves when nothing is left to record.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from turnaround.journal import Journal
from turnaround.tracking.start import ENVIRON, HOLD, Lag, Lock, batch, files, left, tell

if TYPE_CHECKING:
    from turnaround.tracking.rounds import Rounds

LINGER = 30.0  # seconds it stays when nothing is left, so that the next run finds it warm
PATIENCE = 3600.0  # seconds of failure after which it leaves finished runs to the next recorder
GLANCE = 0.2  # seconds until it sees that a run has ended; a look costs 0.5 ms
RETRY = 60.0  # seconds it stays where MLflow cannot be imported, so that nobody tries again at once
NICE = 10  # training goes first


Told = Callable[[float], bool]


def main() -> None:
    """Record until nothing is left; leave at once when another recorder is at it."""
    words = argparse.ArgumentParser(prog="python -m turnaround.tracking.recorder")
    words.add_argument("--home", type=Path, required=True)
    words.add_argument("--uri", required=True)
    words.add_argument("--linger", type=float, default=LINGER)
    asked = words.parse_args()
    os.environ.update(ENVIRON)
    os.nice(NICE)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lock, told = Lock(files(asked.home, asked.uri).lock), _told()
    while lock.take():
        idle = _record(asked, lock, told)
        lock.release()
        if not (
            idle and left(Journal(asked.home), asked.uri)
        ):  # else a run came and found the lock taken
            return


def _record(asked: argparse.Namespace, lock: Lock, told: Told) -> bool:
    """Work where MLflow can be imported; under the lock, as it costs 1.4 to 3 s."""
    if _spared(Journal(asked.home), asked.uri, told):
        return False
    try:
        from turnaround.tracking.rounds import Rounds
    except ImportError as error:
        why = f"{sys.executable} cannot import MLflow: {error}"
        tell(asked.home, Lag(asked.uri, 0, time.time(), why))
        told(RETRY)
        return False
    return _work(Rounds(asked.home, asked.uri), lock, told, asked.linger)


def _spared(journal: Journal, uri: str, told: Told) -> bool:
    """The first trials of a sweep have the cores for themselves; whether a signal to end came."""
    until = time.monotonic() + HOLD
    while time.monotonic() < until and batch(journal, uri):
        if told(GLANCE):
            return True
    return False


def _work(rounds: Rounds, lock: Lock, told: Told, linger: float) -> bool:
    """Go round until nothing was left for `linger` seconds; False if it ends for other reasons."""
    busy = time.monotonic()
    while lock.stands():  # a home that was removed needs no recorder
        there = rounds.go()
        now = time.monotonic()
        busy = now if there else busy
        if now - busy > linger:
            return True
        if rounds.failing > PATIENCE and not rounds.running:
            return False
        if _rested(rounds, told):
            rounds.go()
            return False
    return False


def _rested(rounds: Rounds, told: Told) -> bool:
    """Wait for the next round, or until a run ends; whether a signal to end came meanwhile."""
    rest = rounds.pause
    while True:
        nap = min(GLANCE, rest)
        if told(nap):
            return True
        rest -= nap
        if rest <= 0 or rounds.ended():
            return False


def _told() -> Told:
    """A sleep that a signal to end cuts short; it says whether there was one."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)  # a batch under way is finished first
    return lambda seconds: bool(select.select([wake], [], [], seconds)[0])


if __name__ == "__main__":
    main()
