"""Members of a group are the runs that they would be by themselves."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fused.trials import blobs, folder, together
from tests.engine.trials import Told, train
from turnaround.engine.fused.rules import RULES
from turnaround.spec import Evaluate, Plan

DECAYS = (0.0, 0.1, 0.0, 0.3, 0.0)


def by_itself(plan: Plan, home: Path) -> Told:
    """A run that has its process to itself, in a folder that no other has been in."""
    home.mkdir(parents=True, exist_ok=True)
    return train(plan, Path(tempfile.mkdtemp(dir=home)))


def apart(one: Told, other: Told, names: Iterable[str] = ("loss", "norm", "lr")) -> float:
    """The largest relative difference of two training curves, which have the same points."""
    most = 0.0
    for name in names:
        mine, others = one.curve(name), other.curve(name)
        assert mine.keys() == others.keys()
        assert mine
        most = max(most, *(abs(mine[k] - v) / max(abs(v), 1e-12) for k, v in others.items()))
    return most


def varied(name: str) -> list[Plan]:
    """Five runs that differ in all that may differ."""
    each: list[dict[str, Any]] = [
        {"lr": 0.01 * (i + 1), "momentum": 0.2 * i, "betas": [0.5 + 0.1 * i, 0.9 + 0.02 * i]}
        | {"eps": 10.0 ** -(i + 4), "weight_decay": DECAYS[i], "clip": (None, 0.1, 0.5, 1, 9)[i]}
        | {"schedule": ("constant", "cosine", "linear", "constant", "inverse_sqrt")[i]}
        | {"warmup": (0, 5, 0, 7, 3)[i]}
        for i in range(5)
    ]
    return [blobs(seed=i % 3, name=name, **settings) for i, settings in enumerate(each)]


@pytest.mark.parametrize("name", RULES)
def test_each_member_draws_the_curve_of_its_solo_run(name: str, tmp_path: Path) -> None:
    plans = varied(name)
    for told, plan in zip(together(plans, tmp_path, size=5), plans, strict=True):
        alone = by_itself(plan, tmp_path)
        assert (told.code, alone.code) == (0, 0)
        assert apart(told, alone) < 1e-9
        for mine, other in zip(told.of("metrics"), alone.of("metrics"), strict=True):
            assert (mine["step"], mine["split"]) == (other["step"], other["split"])
        ours, theirs = (one.one("summary")["values"] for one in (told, alone))
        assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_in_single_precision_it_is_so_but_for_rounding(name: str, tmp_path: Path) -> None:
    plans = [replace(plan, precision="fp32") for plan in varied(name)]
    for told, plan in zip(together(plans, tmp_path, size=5), plans, strict=True):
        assert apart(told, by_itself(plan, tmp_path), ["loss"]) < 1e-4


def test_each_seed_has_its_examples(tmp_path: Path) -> None:
    plans = [blobs(seed=i, knobs={"seeded": True}) for i in range(3)]
    for told, plan in zip(together(plans, tmp_path, size=3), plans, strict=True):
        assert apart(told, by_itself(plan, tmp_path)) < 1e-9


def test_members_end_when_their_own_budget_does(tmp_path: Path) -> None:
    plans = [
        replace(plan, budget=replace(plan.budget, steps=10 * (i + 1)), evaluate=Evaluate())
        for i, plan in enumerate(varied("adam"))
    ]
    for told, plan in zip(together(plans, tmp_path, size=5), plans, strict=True):
        assert apart(told, by_itself(plan, tmp_path)) < 1e-9
        assert told.one("summary")["steps"] == plan.budget.steps
        assert told.one("ended")["exit_code"] == 0


def test_a_member_whose_loss_is_not_finite_fails_alone(tmp_path: Path) -> None:
    plans = [blobs(name="sgd", lr=lr, knobs={"poison": True}) for lr in (0.01, 1e4, 0.02)]
    first, wild, last = together(plans, tmp_path, size=3)
    assert (first.code, wild.code, last.code) == (0, 4, 0)
    assert "loss is nan" in wild.one("error")["message"]
    assert not wild.of("summary")
    for told, plan in ((first, plans[0]), (last, plans[2])):
        assert apart(told, by_itself(plan, tmp_path)) < 1e-9


def test_when_all_members_fail_the_group_ends(tmp_path: Path) -> None:
    plans = [blobs(name="sgd", lr=lr, knobs={"poison": True}) for lr in (1e4, 1e5)]
    assert [told.code for told in together(plans, tmp_path, size=2)] == [4, 4]


def test_a_group_goes_on_from_checkpoints_of_solo_runs_and_the_other_way(tmp_path: Path) -> None:
    plans = varied("adam")[:4]
    begun = [replace(plan, until=25) for plan in plans]
    for told in together(begun, tmp_path, size=4):
        assert told.code == 75
    (solo,) = together([plans[0]], tmp_path, size=1, attempt=2)
    alone = by_itself(plans[0], tmp_path)
    late = {k: v for k, v in alone.curve().items() if k > 25}
    assert solo.curve() == pytest.approx(late, rel=1e-9)

    other = tmp_path / "other"
    for i, plan in enumerate(begun):
        told = together([plan], other / str(i), size=1)[0]
        assert told.code == 75
        target = folder(other, i)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder(other / str(i), 0).rename(target)
    for told, plan in zip(together(plans, other, size=4, attempt=2), plans, strict=True):
        alone = by_itself(plan, tmp_path)
        late = {k: v for k, v in alone.curve().items() if k > 25}
        assert told.curve() == pytest.approx(late, rel=1e-9)
        assert told.one("summary")["values"] == pytest.approx(
            alone.one("summary")["values"], rel=1e-9
        )


def test_of_equal_members_one_can_be_stopped(tmp_path: Path) -> None:
    plans = [blobs(seed=i) for i in range(3)]
    folder(tmp_path, 1).mkdir(parents=True)
    (folder(tmp_path, 1) / "stop").touch()
    told = together(plans, tmp_path, size=3)
    assert [one.code for one in told] == [0, 75, 0]
    assert told[1].of("checkpoint")
    assert math.isfinite(apart(told[2], by_itself(plans[2], tmp_path)))
