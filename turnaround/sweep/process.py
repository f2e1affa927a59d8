"""The process that drives a sweep: it asks for trials like any command line.

    python -m turnaround.sweep.process --home HOME --sweep sweep-x7k2m

It is neither in the command line, which may be closed, nor in the scheduler, which serves other
projects and interpreters and must not wait for Optuna.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.pool.places import read_record
from turnaround.spec import Status
from turnaround.sweep import pages, report
from turnaround.sweep.drive import GLANCE, Driver
from turnaround.sweep.start import lock

log = logging.getLogger(__name__)
TEND = 2.0  # seconds between looks for the pool


def drive(home: Path, sweep: str) -> None:
    """Carry the sweep on until it is over; at once nothing, when somebody else is at it."""
    mine = lock(Journal(home), sweep)
    if not mine.take():
        return
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    journal = Journal(home)
    me = f"{os.getpid()}:{psutil.Process().create_time()}"
    attempt = journal.run(sweep).attempt + 1
    fresh: dict[str, Any] = {
        "owner": me,
        "ended": None,
        "exit_code": None,
        "recorded": not journal.run(sweep).tracking,
    }
    journal.mark(sweep, Status.RUNNING, attempt=attempt, **fresh)
    try:
        pool = Pool(home)
        _tended(pool, revive=True)
        driver = Driver(home, sweep, pool)
        driver.pick_up()
        status, why = _carry(driver, lambda: _tended(pool), stopping)
        driver.end(status, why)
        _report(driver)
    except Exception as error:  # the door: what fails here must be said where people look
        log.exception("the driver failed")
        said = error.message if isinstance(error, TurnaroundError) else repr(error)
        reason = f"its driver failed: {said}"
        journal.mark(sweep, Status.FAILED, reason, exit_code=3, attempt=attempt)


def _report(driver: Driver) -> None:
    """After the last word, as it takes a second or two; then MLflow is told once more."""
    found = report.made(driver.journal, driver.sweep, importance=True)
    pages.write(found, driver.journal.folder(driver.sweep) / "report")
    if driver.journal.run(driver.sweep).tracking:
        driver.journal.update(driver.sweep, recorded=False)


def _carry(driver: Driver, tended: Callable[[], bool], stopping: list[int]) -> tuple[Status, str]:
    """Until it is over: its status, and why."""
    looked = -math.inf
    while True:
        if stopping:
            driver.halt("its sweep was stopped")
            return Status.STOPPED, "stopped by its user"
        if time.monotonic() - looked > TEND:
            looked = time.monotonic()
            if not tended():
                return Status.STOPPED, "the pool was taken down"
        try:
            why = driver.tick()
        except LaunchError as error:  # the pool went away: the next look says whether for good
            log.warning("%s", error)
            looked, why = -math.inf, None
        if why is not None:
            driver.halt(why)
            return (Status.SUCCEEDED if driver.state.best(driver.top) else Status.FAILED), why
        time.sleep(GLANCE)


def _tended(pool: Pool, revive: bool = False) -> bool:
    """There is a pool: one that was killed is started again, one that was taken down is not."""
    if pool.record() is not None:
        return True
    if read_record(pool.places) is None and not revive:
        return False
    pool.ensure(log.info, facts.inventory())
    return True


def main() -> None:
    """The driver's process."""
    parser = argparse.ArgumentParser(prog="python -m turnaround.sweep.process")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--sweep", required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    drive(asked.home, asked.sweep)


if __name__ == "__main__":
    main()
