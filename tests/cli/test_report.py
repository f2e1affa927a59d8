"""`turnaround report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.projects import make_project
from tests.sweeps import Night, asked
from turnaround.journal import Journal


@pytest.fixture
def night(tmp_path: Path, journal: Journal) -> Night:
    """A sweep of three that has ended."""
    project = make_project(tmp_path / "project")
    night = Night.of(asked(project, journal.root, "optim.lr=0.001,0.01,0.1"), journal.root)
    night.drive()
    return night


def test_the_short_form_and_the_page(ask, night: Night) -> None:
    told = ask("report", night.sweep)
    assert told.code == 0
    lines = told.out.splitlines()
    assert lines[0].startswith(f"{night.sweep} SUCCEEDED after ")
    assert lines[0].endswith("3 of 3 trials trained")
    assert "winner      trial 2: lr=0.1" in lines
    assert any(line.startswith("run it      turnaround run recipe=steady") for line in lines)
    page = night.home / "runs" / night.sweep / "report" / "report.html"
    assert page.exists()


def test_json_is_for_scripts(ask, night: Night) -> None:
    told = json.loads(ask("report", night.sweep, "--json").out)
    assert (told["winner"], len(told["lines"])) == (2, 3)


def test_show_watch_and_stop_know_a_sweep(ask, night: Night) -> None:
    assert "winner      trial 2: lr=0.1" in ask("show", night.sweep).out
    assert "winner      trial 2: lr=0.1" in ask("watch", night.sweep).out
    assert "is over already" in ask("stop", night.sweep).out
    refused = ask("resume", night.sweep)
    assert (refused.code, "is a sweep" in refused.err) == (2, True)


def test_a_run_has_no_report(ask, submit) -> None:
    submit("seq2seq-aaaaa")
    told = ask("report", "seq2seq-aaaaa")
    assert (told.code, "is a run and no sweep" in told.err) == (2, True)
