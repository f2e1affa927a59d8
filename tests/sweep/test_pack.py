"""Sweeps whose trials share devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import Hand, asked
from turnaround.errors import ConfigError
from turnaround.forecast.packing import Packing
from turnaround.journal import Journal
from turnaround.spec import Plan
from turnaround.sweep import pack
from turnaround.sweep.drive import slots
from turnaround.sweep.pack import largest, packed
from turnaround.sweep.question import Mark, planned, read, save

LR = "optim.lr=0.1,0.2"


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What would have been measured; four copies do most."""
    plans: list[Plan] = []

    def measured(plan: Plan, root: Path) -> Packing:
        plans.append(plan)
        copies = 1 if plan.data.batch == 512 else 4
        return Packing(copies, 0.7 * copies, 250.0, 2e9, 24e9, "")

    monkeypatch.setattr(pack, "measured", measured)
    return plans


def test_what_was_measured_is_in_the_plans_of_all_trials(
    probed: list[Plan], project: Path, own: Path, tmp_path: Path
) -> None:
    question, line = packed(asked(project, own, LR, pack=True), own)
    assert line == "4 a device: 2.8 × the trials an hour, 2.0 of 24 GB"
    save(question, tmp_path)
    plan = planned(read(tmp_path), {"optim.lr": 0.2}, Mark("sweep", 1))
    assert (plan.cluster.share, plan.alone) == (0.25, 250.0)
    assert slots(question, Hand(Journal(own)), ahead=False) == 8  # on two cores


def test_where_one_does_most_nothing_is_shared(
    probed: list[Plan], project: Path, own: Path
) -> None:
    question = asked(project, own, LR, "data.batch=512", pack=True)
    assert packed(question, own)[0] is question


def test_the_trial_that_needs_most_is_measured(
    probed: list[Plan], project: Path, own: Path
) -> None:
    words = ("optim.lr=interval(0.1,1)", "recipe.slope=1.0,4.0,2.0", "data.batch=range(8,33,8)")
    question = asked(project, own, *words, name="random", pack=True)
    assert largest(question) == {"optim.lr": 0.1, "recipe.slope": 4.0, "data.batch": 32}
    packed(question, own)
    assert (probed[0].recipe.knobs["slope"], probed[0].data.batch) == (4.0, 32)


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        (["optim=sgd,adam"], {}, "optim makes several"),
        (["cluster.share=1/2"], {}, "cluster.share=0.5"),
        (["budget.time=1h"], {}, "budget.time"),
        (["layout=ddp", "layout.replicate=2"], {}, "these have 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str],
    settings: dict[str, Any],
    message: str,
    probed: list[Plan],
    project: Path,
    own: Path,
) -> None:
    question = asked(project, own, LR, *words, pack=True, **settings)
    with pytest.raises(ConfigError, match=message):
        packed(question, own)
    assert not probed
