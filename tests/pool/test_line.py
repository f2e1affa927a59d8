"""The queue as the journal has it: who holds what, as the machines tell one after another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround.journal import Journal, Run
from turnaround.pool.machines import Machine
from turnaround.pool.node.gang import Placement
from turnaround.pool.queue.line import Line
from turnaround.pool.queue.room import Places
from turnaround.spec import Layout, Plan

BOTH = [Machine("a", "10.0.0.1", 8, 2, head=True), Machine("b", "10.0.0.2", 8, 2)]
HALVES: Places = [Placement(0, [0, 1], [0, 1], "a"), Placement(0, [0, 1], [2, 3], "b")]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def of(devices: int) -> Plan:
    plan = example_plan()
    on_gpus = replace(plan.cluster, device="cuda")
    return replace(plan, layout=Layout("ddp", devices), cluster=on_gpus)


def added(line: Line, journal: Journal, name: str, devices: int) -> Run:
    run = journal.submit(of(devices), name)
    line.add(run)
    return run


def test_a_gang_that_is_being_placed_keeps_what_its_machines_do_not_tell_of_yet(
    journal: Journal,
) -> None:
    line = Line(journal)
    line.begin(added(line, journal, "big", 4), HALVES)
    added(line, journal, "small", 1)
    line.keep({"big": HALVES[:1]}, {"big"})
    assert not line.decide(BOTH).starts
    line.keep({"big": HALVES[:1]}, set())  # b could not be reached
    assert line.decide(BOTH).starts == {"small": [Placement(0, [0], [0], "b")]}


def test_a_scheduler_that_begins_learns_what_is_held(journal: Journal) -> None:
    line = Line(journal)
    journal.submit(of(4), "big")
    added(line, journal, "small", 1)
    line.keep({"big": HALVES}, set())
    assert not line.decide(BOTH).starts
