"""What is said before a sweep begins."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.projects import make_project
from tests.sweeps import asked
from turnaround.cli.running import sift
from turnaround.errors import PlanError
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.sweep.question import Question, Window

LR = "optim.lr=tag(log,interval(0.01,1))"
Told = Any


@pytest.fixture
def told(tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Lines about a sweep whose runs take 80 to 120 s, two at a time."""
    project = make_project(tmp_path / "project")
    monkeypatch.setattr(sift, "measured", lambda *_: Interval(80.0, 100.0, 120.0))

    def tell(length: float | None = None, ahead: float | None = None, **fields: Any) -> list[str]:
        begin = time.time() + (ahead or 0.0)
        end = None if length is None else begin + length
        made: Question = asked(project, journal.root, LR, concurrent=2, **fields)
        bounds = Window(end, None, begin if ahead else None)
        return list(sift.outlook(replace(made, window=bounds), journal))

    return tell


def test_a_window_shorter_than_one_trial_is_refused(told: Told) -> None:
    with pytest.raises(PlanError, match="shorter than one trial, which takes 1m20s–2m00s"):
        told(length=60.0, name="random")
    with pytest.raises(PlanError, match="over as soon as it begins"):
        told(length=4.0, name="random")


def test_what_fits_is_an_interval_by_the_rules_of_the_sweep(told: Told) -> None:
    line = told(length=1203.0, name="random")[-1]
    assert re.fullmatch(
        r"a run takes 1m20s–2m00s: trials trained (18|19|20) to (28|29|30) to the end", line
    )
    asha = told(length=1203.0, name="asha")[-1]
    assert "to step 9, " in asha
    assert "to step 27, " in asha


def test_without_a_window_it_says_how_long_it_takes(told: Told) -> None:
    assert "; over in " in told(name="asha", trials=9)[-1]
    grown = told(name="pbt", trials=4, rungs=3)
    assert "a quarter makes way for copies of the best" in grown[0]
    assert "; over in " in grown[-1]


def test_a_window_that_begins_later_says_when(told: Told) -> None:
    lines = told(length=1203.0, ahead=7200.0, name="random")
    assert lines[1].startswith("it begins on ")
    assert "; it ends by " in lines[1]
    assert " to the end" in lines[-1]
