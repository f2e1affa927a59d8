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
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from turnaround.errors import LaunchError, TurnaroundError
from turnaround.fusible import MOST
from turnaround.journal import Journal
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.pool.places import owner, read_record
from turnaround.spec import Plan, Status, acquaint
from turnaround.sweep import pages, report
from turnaround.sweep.bundle import Bundles
from turnaround.sweep.drive import GLANCE, Driver, slots
from turnaround.sweep.question import Question, read
from turnaround.sweep.send import Hand
from turnaround.sweep.start import kept, lock, wake

log = logging.getLogger(__name__)
TEND = 2.0  # seconds between looks for the pool
REST = 0.25  # seconds after which it ticks without any news
LOOK = 1.0  # seconds between looks at the clock, before a window begins
NICE = 10  # of what is left to do when a sweep is over


def drive(home: Path, sweep: str) -> None:
    """Carry the sweep on until it is over; at once nothing, when somebody else is at it."""
    mine = lock(Journal(home), sweep)
    if not mine.take():
        return
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    journal = Journal(home)
    attempt = journal.run(sweep).attempt + 1
    fresh: dict[str, Any] = {
        "attempt": attempt,
        "owner": owner(),
        "ended": None,
        "exit_code": None,
        "recorded": not journal.run(sweep).tracking,
    }
    with kept(journal, sweep):
        if _awaited(journal, sweep, fresh, stopping):
            _driven(home, sweep, fresh, stopping)


def _awaited(journal: Journal, sweep: str, fresh: dict[str, Any], stopping: list[int]) -> bool:
    """Its window has begun; False when it was stopped before that."""
    begin = read(journal.folder(sweep)).window.begin
    if begin is None or begin <= time.time():
        return True
    then = time.strftime("%a %H:%M", time.localtime(begin))
    journal.mark(sweep, Status.QUEUED, f"it begins on {then}", **fresh)
    while time.time() < begin:  # by the clock on the wall, as the machine may sleep
        if stopping:
            ended = {"attempt": fresh["attempt"], "exit_code": 75}
            journal.mark(sweep, Status.STOPPED, "stopped by its user before it began", **ended)
            return False
        time.sleep(min(LOOK, max(begin - time.time(), 0.0)))
    return True


def _driven(home: Path, sweep: str, fresh: dict[str, Any], stopping: list[int]) -> None:
    journal, attempt = Journal(home), fresh["attempt"]
    journal.mark(sweep, Status.RUNNING, **fresh)
    try:
        pool = Pool(home)
        _tended(pool, revive=True)
        driver = Driver(home, sweep, _hand(pool, sweep))
        driver.pick_up()
        status, why = _carry(driver, lambda: _tended(pool), stopping)
        driver.end(status, why)
    except Exception as error:  # the door: what fails here must be said where people look
        log.exception("the driver failed")
        said = error.message if isinstance(error, TurnaroundError) else repr(error)
        reason = f"its driver failed: {said}"
        journal.mark(sweep, Status.FAILED, reason, exit_code=3, attempt=attempt)
    else:
        _report(driver)


def _hand(pool: Pool, sweep: str) -> Hand:
    """Who carries trials out: the pool, or who lays them together for it."""
    question = read(pool.journal.folder(sweep))
    if question.settings.fuse and len(pool.machines()) > 1:
        log.warning("trials go one by one: bundles lie where the runs' folders are")
        return pool
    if not question.settings.fuse:
        return pool
    bundles = Bundles(pool, sweep, slots(question, pool, ahead=False) // MOST)
    bundles.begin()
    return bundles


def _report(driver: Driver) -> None:
    """After the last word, as it takes a second or two; then MLflow is told once more. Nobody waits
    for it, and the next sweep may have begun. What the sweep came to does not hang on it."""
    os.nice(NICE)
    try:
        found = report.made(driver.journal, driver.sweep, importance=True)
        pages.write(found, driver.journal.folder(driver.sweep) / "report")
        if driver.journal.run(driver.sweep).tracking:
            driver.journal.update(driver.sweep, recorded=False)
    except Exception:  # a door of its own: the sweep has its answer
        log.exception("the report failed: turnaround report %s tries again", driver.sweep)


def _carry(driver: Driver, tended: Callable[[], bool], stopping: list[int]) -> tuple[Status, str]:
    """Until it is over: its status, and why."""
    looked = ticked = -math.inf
    while True:
        if stopping:
            driver.halt("its sweep was stopped")
            return Status.STOPPED, "stopped by its user"
        if time.monotonic() - looked > TEND:
            looked = time.monotonic()
            if not tended():
                return Status.STOPPED, "the pool was taken down"
        why = None
        try:
            if _due(driver, ticked):
                ticked, why = time.monotonic(), _ticked(driver)
        except LaunchError as error:  # the pool went away: the next look says whether for good
            log.warning("%s", error)
            looked = ticked = -math.inf
        if why is not None:
            driver.halt(why)
            return (Status.SUCCEEDED if driver.state.best(driver.top) else Status.FAILED), why
        time.sleep(GLANCE)


def _due(driver: Driver, ticked: float) -> bool:
    """There is something to decide; what trials laid together come to is in files of their own."""
    late = time.monotonic() - ticked > REST
    return isinstance(driver.pool, Bundles) or driver.news() or late


def _ticked(driver: Driver) -> str | None:
    """One tick, in which whoever lays trials together takes a turn as well."""
    hand = driver.pool
    with hand.turn() if isinstance(hand, Bundles) else nullcontext():
        return driver.tick()


def _tended(pool: Pool, revive: bool = False) -> bool:
    """There is a pool: one that was killed is started again, one that was taken down is not."""
    if pool.record() is not None:
        return True
    if read_record(pool.places) is None and not revive:
        return False
    pool.ensure(log.info, facts.inventory())
    return True


def _named(home: Path, line: int) -> str | None:
    """The sweep that is said on that descriptor, by `start.Ahead`; none when none is asked after
    all. From then on what is printed goes to its log."""
    acquaint(Question, Plan)
    with open(line) as told:
        said = told.readline()
    if not said.endswith("\n"):
        return None
    sweep = said.strip()
    with (Journal(home).folder(sweep) / "log.txt").open("ab") as file:
        for target in (1, 2):
            os.dup2(file.fileno(), target)
    return sweep


def main() -> None:
    """The driver's process."""
    parser = argparse.ArgumentParser(prog="python -m turnaround.sweep.process")
    parser.add_argument("--home", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sweep")
    what.add_argument("--told", type=int, help="a descriptor on which it will be named")
    what.add_argument("--due", action="store_true", help="those that a reboot has ended")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    if asked.due:
        for line in wake(asked.home):
            log.info("%s", line)
    elif sweep := asked.sweep or _named(asked.home, asked.told):
        drive(asked.home, sweep)


if __name__ == "__main__":
    main()
