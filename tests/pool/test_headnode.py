"""The daemon of a pool of our own, without Ray: what it does when a head dies, and as it leaves."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround.journal import Journal
from turnaround.pool.head import head as real
from turnaround.pool.head import headnode
from turnaround.pool.head.headnode import HeadNode
from turnaround.pool.node.gang import Gang, Placement
from turnaround.pool.node.outcome import Outcome
from turnaround.pool.places import Places, Record
from turnaround.spec import PROTOCOL, Layout, Plan, Status

WENT_DOWN = "the pool went down; goes on with the next one"


class Head:
    """A Ray head that has died, until it is restarted."""

    def __init__(self, *_: object) -> None:
        self.up, self.starting, self.given_up = True, set[int](), False
        self.restarts = 0

    def died(self) -> bool:
        """Once."""
        return not self.restarts

    def came_back(self) -> None:
        """It has not."""

    def restart(self) -> None:
        """It is counted."""
        self.restarts += 1

    def kill(self) -> None:
        """Nothing is left of it."""


class Worked(Gang):
    """A gang of one rank that has ended, or ends when it is asked to stop."""

    def __init__(self, run: str, placement: Placement | None = None) -> None:
        super().__init__(run, 1, placement or Placement(cpus=1))
        self.last = 75

    def end(self, outcome: Outcome) -> None:
        """As a forkserver tells."""
        self._ended(0, outcome.exit_code)
        self.outcome = outcome

    def stop(self, grace: float = 30.0) -> None:
        """Its last code."""
        self._stopping = True
        self.end(Outcome(self.last))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeadNode:
    monkeypatch.setattr(headnode, "Head", Head)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    now = time.time()
    record = Record(os.getpid(), now, PROTOCOL, "0", "python", 2, 0, keep_warm=60.0, since=now)
    return HeadNode(Places(tmp_path), record)


def running(node: HeadNode, name: str, plan: Plan | None = None) -> str:
    journal = node.journal
    run = journal.submit(plan or example_plan(), name)
    journal.mark(run.id, Status.RUNNING, attempt=1)
    return run.id


def worked(node: HeadNode, name: str, placement: Placement | None = None) -> Worked:
    """The gang of a run that is under way."""
    gang = node.gangs[f"{name}/1"] = Worked(name, placement)
    return gang


def left(node: HeadNode, run: str) -> tuple[Status, int | None, str]:
    """What the journal says when the pool is down."""
    node.leave()
    row = Journal(node.places.home).run(run)
    return row.status, row.exit_code, row.reason


def test_a_run_that_cannot_be_told_keeps_neither_the_head_nor_the_others_from_hearing(
    node: HeadNode,
) -> None:
    gone, there = running(node, "gone"), running(node, "there")
    node.journal.folder(gone).rename(node.places.home / "elsewhere")
    node.tick()
    assert node.head.restarts == 1  # type: ignore[attr-defined]  # the test's
    told = [e.data["message"] for e in node.journal.events(there, kinds=["notice"])]
    assert [message[:22] for message in told] == ["the Ray head died and "]


def test_a_pool_without_a_head_ends_and_says_why(node: HeadNode) -> None:
    waiting = node.journal.submit(example_plan(), "waiting").id
    node.head.given_up = True  # type: ignore[misc]  # the test's
    node.tick()
    assert node.ending.is_set()
    (told,) = node.journal.events(waiting, kinds=["notice"])
    assert told.data["message"].endswith("logs/ray.log")
    node.leave()
    assert Journal(node.places.home).run(waiting).status is Status.QUEUED


def test_a_head_that_never_comes_up_is_given_up(node: HeadNode) -> None:
    head = real.Head(node.places, node.record)
    tries = 0
    while not head.given_up:
        failing = subprocess.Popen(["false"])
        failing.wait()
        head._starting = [failing, failing]
        assert head.died()
        tries += 1
    assert tries == real._TRIES + 1


def test_a_run_that_has_ended_when_the_pool_goes_down_has_ended(node: HeadNode) -> None:
    run = running(node, "done")
    worked(node, run).end(Outcome(0))
    assert left(node, run) == (Status.SUCCEEDED, 0, "")


def test_a_run_that_failed_by_itself_has_failed(node: HeadNode) -> None:
    run = running(node, "wrong")
    worked(node, run).end(Outcome(1))
    assert left(node, run) == (Status.FAILED, 1, "")


def test_a_run_that_is_done_as_it_is_asked_to_leave_is_done(node: HeadNode) -> None:
    run = running(node, "quick")
    worked(node, run).last = 0
    assert left(node, run) == (Status.SUCCEEDED, 0, "")


@pytest.mark.parametrize("code", [75, 143])
def test_a_run_that_leaves_with_its_pool_waits_for_the_next(node: HeadNode, code: int) -> None:
    run = running(node, "long")
    worked(node, run).last = code
    assert left(node, run) == (Status.QUEUED, None, WENT_DOWN)


def test_a_run_that_its_user_stopped_is_stopped(node: HeadNode) -> None:
    run = running(node, "enough")
    node.journal.update(run, stopping=True, reason="stopped by its user")
    worked(node, run)
    assert left(node, run) == (Status.STOPPED, 75, "stopped by its user")


def test_a_worker_that_was_lost_just_then_costs_no_restart(node: HeadNode) -> None:
    run = running(node, "killed")
    worked(node, run).end(Outcome(3, True, "rank 0 died (SIGKILL)"))
    assert left(node, run) == (Status.QUEUED, None, WENT_DOWN)
    assert node.journal.run(run).failures == 0


def test_a_part_of_a_gang_does_not_speak_for_the_others(node: HeadNode) -> None:
    run = running(node, "wide", replace(example_plan(), layout=Layout("ddp", 2)))
    worked(node, run, Placement(1, [], [0])).end(Outcome(0))
    assert left(node, run) == (Status.QUEUED, None, WENT_DOWN)


def test_a_run_that_was_not_begun_yet_waits_for_the_next_pool(node: HeadNode) -> None:
    run = running(node, "late")
    assert left(node, run) == (Status.QUEUED, None, WENT_DOWN)


def test_what_has_been_settled_stays_as_it_is(node: HeadNode) -> None:
    run = running(node, "again")
    node.journal.mark(run, Status.QUEUED, "made room for lm-k3x9e", attempt=1)
    worked(node, run).end(Outcome(1))
    assert left(node, run) == (Status.QUEUED, None, "made room for lm-k3x9e")


def test_a_run_that_cannot_be_settled_does_not_keep_the_pool_up(node: HeadNode) -> None:
    torn, good = running(node, "torn"), running(node, "good")
    for run in (torn, good):
        worked(node, run).end(Outcome(0))
    (node.journal.folder(torn) / "plan.json").write_text('{"recipe')
    assert left(node, good)[0] is Status.SUCCEEDED
    assert not node.places.record.exists()
