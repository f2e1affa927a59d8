"""Differences, and how sure they are."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.examples import example_plan
from tests.sweeps import Night, asked, bowl
from turnaround.spec import Evaluate, Plan
from turnaround.sweep import compare
from turnaround.sweep.compare import Side, differences, improvement, rises, side, spread, verdict


def noisy(plan: Plan, step: int) -> float:
    """The seed's share is the same in every setting."""
    return bowl(plan, step) + plan.seed / 10


def test_runs_of_other_seeds_are_found_and_differences_paired(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,0.2", seeds=3), own, noisy)
    state, journal = night.drive().state, night.hand.journal
    sides = [side(journal, journal.run(t.sent[0].run)) for t in state.trials.values()]
    assert [len(one.runs) for one in sides] == [3, 3]
    assert differences(journal, sides) == {"optim.lr": ["0.1", "0.2"]}
    found = verdict(sides[0], sides[1], "valid/loss", rises=False)
    assert found is not None
    assert found.paired
    assert math.isclose(found.difference.mean, math.log10(2))
    assert found.difference.half is not None
    assert found.difference.half < 1e-9
    assert found.better == 0.0


def test_seeds_that_fork_from_trunks_of_their_own_are_one_side(project: Path, own: Path) -> None:
    words = ("optim.schedule=wsd", "optim.floor=0.0,0.1", "optim.lr=0.1")
    night = Night.of(asked(project, own, *words, seeds=3), own, noisy)
    state, journal = night.drive().state, night.hand.journal
    runs = [trial.sent[0].run for trial in state.trials.values()]
    assert all(journal.plan(run).fork for run in runs)
    assert [len(side(journal, journal.run(run)).runs) for run in runs] == [3, 3]


def test_seeds_of_a_trial_are_found_among_however_many_runs(
    project: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,0.2", seeds=3), own, noisy)
    state, journal = night.drive().state, night.hand.journal
    monkeypatch.setattr(compare, "NEAR", 1)
    runs = [trial.sent[0].run for trial in state.trials.values()]
    assert [len(side(journal, journal.run(run)).runs) for run in runs] == [3, 3]


def test_a_sweep_is_no_run_of_its_first_trial(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,0.2", seeds=2), own, noisy)
    night.drive()
    journal = night.hand.journal
    journal.forget(night.hand.submitted[0])
    run = journal.run(night.hand.submitted[1])
    assert list(side(journal, run).runs.values()) == [run]


def test_code_that_differs_is_named_by_its_file(project: Path, own: Path) -> None:
    first = Night.of(asked(project, own, "seed=0,1"), own)
    first.drive()
    recipe = project / "recipes" / "steady.py"
    recipe.write_text(recipe.read_text() + "\n# changed\n")
    second = Night.of(asked(project, own, "seed=0,1"), own)
    second.drive()
    journal = first.hand.journal
    runs = [night.hand.submitted[0] for night in (first, second)]
    told = differences(journal, [side(journal, journal.run(run)) for run in runs])
    assert set(told) == {"code", "file recipes/steady.py"}


def test_who_is_better_is_told_where_more_or_less_is_known_to_be() -> None:
    plan = replace(example_plan(), evaluate=Evaluate(score="length", better="min"))
    ours, theirs = (Side("", plan, {}, {"valid/x": dict(enumerate(v))}) for v in ((1, 2), (3, 4)))
    told = {name: rises(ours, f"valid/{name}") for name in ("length", "bits_per_byte", "ratio")}
    assert told == {"length": False, "bits_per_byte": False, "ratio": None}
    found = [verdict(ours, theirs, "valid/x", way) for way in (True, False, None)]
    assert [each and each.better for each in found] == [1.0, 0.0, None]
    assert [each and each.difference.mean for each in found] == [2.0, 2.0, 2.0]


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = random.Random(1)
    held = 0
    for _ in range(400):
        found = spread([rng.gauss(3.0, 1.0) for _ in range(4)])
        assert found.half is not None
        held += abs(found.mean - 3.0) <= found.half
    assert 0.92 <= held / 400 <= 0.98


def test_the_probability_of_improvement_counts_pairs() -> None:
    assert improvement([1.0, 2.0], [3.0, 4.0], rises=True) == 1.0
    assert improvement([1.0, 2.0], [3.0, 4.0], rises=False) == 0.0
    assert improvement([1.0, 2.0], [1.0, 2.0], rises=True) == 0.5
