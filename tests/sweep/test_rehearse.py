"""Whole nights on a clock of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import asked
from turnaround.sweep.question import Question, Window
from turnaround.sweep.rehearse import Leg, Night, Stage, even, unguided
from turnaround.sweep.state import Trial
from turnaround.sweep.window import LEAVE

slow = partial(pytest.param, marks=pytest.mark.slow)
LR = "optim.lr=tag(log,interval(0.001,1))"


def night(question: Question, seconds: float, length: float | None = None, slots: int = 2) -> Night:
    end = None if length is None else 1000.0 + LEAVE + length
    bounded = replace(question, window=Window(end))
    return Stage(bounded, slots, even(question, seconds), 1000.0).play()


@pytest.fixture
def asha(project: Path, own: Path) -> Question:
    return unguided(asked(project, own, LR, name="asha", trials=27))


def test_without_an_end_it_is_over_when_everything_was_tried(asha: Question) -> None:
    found = night(asha, 90.0)
    first, second, last = found.reached(3)
    assert (first, last >= 1, second >= 9) == (27, True, True)
    steps = 27 * 9 + (second) * 18 + last * 63
    assert found.busy == pytest.approx(steps)
    assert 0 <= found.idle < 0.2  # the last ones have nobody beside them


@pytest.mark.parametrize("runs", [1.3, slow(2.0), 3.7, slow(10.0)])
@pytest.mark.parametrize("name", ["asha", "hyperband", "random"])
def test_a_window_ends_in_time_with_a_winner_and_no_idle_device(
    project: Path, own: Path, name: str, runs: float
) -> None:
    question = unguided(asked(project, own, LR, name=name))
    endless = replace(question, settings=replace(question.settings, trials=10**6))
    found = night(endless, 90.0, length=90 * runs)
    assert found.last <= 1000 + 90 * runs
    assert found.state.won(2 if name != "random" else 0)
    assert found.idle < 0.05


def test_a_population_gives_up_its_losers_when_it_gets_short(project: Path, own: Path) -> None:
    question = asked(project, own, LR, name="pbt", trials=8, rungs=3)
    found = night(question, 90.0, length=90 * 3.0)
    assert found.state.won(2)
    assert len(found.state.whole(2)) < 8


def test_a_slow_trial_that_does_not_fit_stops_no_other(asha: Question) -> None:
    """The first is ten times as slow, and looks best."""

    def act(trial: Trial, begin: int, end: int) -> Leg:
        return Leg((end - begin) * (10.0 if trial.number == 0 else 1.0), 0.0, float(trial.number))

    question = replace(asha, window=Window(LEAVE + 1000.0))
    found = Stage(question, 1, act, 0.0).play()
    assert len(found.state.trials) > 10
    assert found.state.won(2)


@pytest.mark.parametrize("name", ["asha", "hyperband", "random"])
def test_no_more_is_tried_than_was_asked_for(project: Path, own: Path, name: str) -> None:
    question = unguided(asked(project, own, LR, name=name, trials=6))
    for runs in (1.5, 2.5, 4.0, 20.0):
        assert len(night(question, 90.0, length=90 * runs).state.trials) <= 6


def test_what_fails_at_the_end_is_made_good(asha: Question) -> None:
    """Whoever is trained to the end first fails there."""
    failed: list[int] = []

    def act(trial: Trial, begin: int, end: int) -> Leg:
        fails: Any = end == 90 and len(failed) < 2
        failed.extend([trial.number] * fails)
        return Leg(float(end - begin), 0.0, None if fails else float(trial.number))

    found = Stage(replace(asha, window=Window(LEAVE + 500.0)), 2, act, 0.0).play()
    assert len(failed) == 2
    assert found.state.won(2)
