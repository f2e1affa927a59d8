"""`turnaround compare`."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.projects import make_project
from tests.sweeps import Night, asked, bowl
from turnaround.journal import Journal
from turnaround.spec import Plan

# the package has its verb by that name
compare = importlib.import_module("turnaround.cli.verbs.compare")


def noisy(plan: Plan, step: int) -> float:
    return bowl(plan, step) + plan.seed / 10


@pytest.fixture
def night(tmp_path: Path, journal: Journal) -> Night:
    """Two settings of three seeds."""
    project = make_project(tmp_path / "project")
    question = asked(project, journal.root, "optim.lr=0.1,0.2", seeds=3)
    night = Night.of(question, journal.root, noisy)
    night.drive()
    return night


def test_settings_that_differ_and_intervals_over_seeds(ask, night: Night) -> None:
    first, last = night.hand.submitted[0], night.hand.submitted[-1]
    told = ask("compare", first, last)
    assert told.code == 0
    lines = [line.split() for line in told.out.splitlines()]
    assert lines[0] == ["differs", "lr=0.1", "(3", "seeds)", "lr=0.2", "(3", "seeds)"]
    assert lines[1] == ["optim.lr", "0.1", "0.2"]
    assert "+0.301 ± " in told.out
    assert "paired" in told.out


def test_a_sweep_stands_for_its_best(ask, night: Night) -> None:
    told = json.loads(ask("compare", night.sweep, "--json").out)
    assert [len(one["runs"]) for one in told["sides"]] == [3, 3]
    assert told["scores"]["valid/loss"]["verdicts"][0]["paired"]


def test_a_trial_stands_for_itself_after_one_of_its_runs_was_removed(ask, night: Night) -> None:
    night.hand.journal.forget(night.hand.submitted[0])
    told = json.loads(ask("compare", night.sweep, "--json").out)
    assert [len(one["runs"]) for one in told["sides"]] == [2, 3]


def test_of_a_score_that_could_go_either_way_nobody_is_said_to_be_better(ask, night: Night) -> None:
    better = re.compile(r"\d\.\d\d \(\d")
    assert better.search(ask("compare", night.sweep).out)
    for number, run in enumerate(night.hand.submitted):
        night.hand.journal.update(run, summary={"values": {"test/length": number**2}})
    told = ask("compare", night.sweep).out
    assert "paired" in told
    assert not better.search(told)
    assert told.endswith("\nwhether more is better is not known of test/length\n")


def test_one_thing_is_nothing_to_compare(ask, night: Night) -> None:
    told = ask("compare", night.hand.submitted[0])
    assert (told.code, "is 1 thing to compare" in told.err) == (2, True)


def test_how_many_trials_are_left_out_is_said(
    ask, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask("compare", night.sweep).err == ""
    monkeypatch.setattr(compare, "BEST", 1)
    said = ask("compare", night.sweep, night.hand.submitted[0], night.hand.submitted[-1])
    assert said.err == f"{night.sweep}: the best 1 of 2 trials; name others by id\n"


def test_when_a_run_went_is_no_difference(ask, trained, plan: Plan) -> None:
    for run, priority in (("seq2seq-aaaaa", 0), ("seq2seq-bbbbb", 5)):
        trained(run, replace(plan, cluster=replace(plan.cluster, priority=priority), seed=priority))
    assert "priority" not in ask("compare", "seq2seq-aaaaa", "seq2seq-bbbbb", "--alone").out
