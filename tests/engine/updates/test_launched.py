"""Groups under the launchers: who may be lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.engine.trials import trial_plan
from tests.launch.test_inline import plan, when
from turnaround.journal import Journal
from turnaround.launch import inline
from turnaround.pool.node.outcome import verdict
from turnaround.spec import Budget, Event, Recipe, Status, Update

TWO = Update("async", groups=2)


@pytest.mark.slow
def test_an_inline_run_ends_well_without_a_group_that_was_killed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    pids = []

    def watch(event: Event) -> None:
        if event.kind == "worker" and event.rank == 1:
            pids.append(event.data["pid"])
        kill(event)

    kill = when(
        lambda event: event.kind == "metrics" and event.data["step"] >= 10,
        lambda: os.kill(pids[0], signal.SIGKILL),
    )
    slow = Recipe("digits", {"pause": 0.03})
    assert inline.run(plan(update=TWO, budget=Budget(steps=150), recipe=slow), journal, watch) == 0
    assert journal.runs()[0].status is Status.SUCCEEDED


def test_a_gang_is_judged_by_its_vital_ranks() -> None:
    vital = trial_plan(update=TWO).vital
    codes = [(1, -9), (0, 0)]
    assert verdict(codes, vital).exit_code == 0
    assert verdict(codes, 2).lost


def test_a_gang_without_its_first_rank_is_lost() -> None:
    assert verdict([(0, -9), (1, 3)], 1).lost
