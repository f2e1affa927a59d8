"""The gradient noise scale as layouts hear it, from a part of each batch and the whole."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.spread import layout, plan_for, saved
from tests.engine.trials import Gang, ddp, train, trial_plan
from turnaround.engine.noise import Estimate
from turnaround.spec import Budget, Data, Evaluate, Layout, Optim, Plan, Recipe, Tracking, Update

STEPS = 400
TRUE = 51 + 50  # of the recipe: see test_noise.py
SMALL = Recipe("regress", {"width": 4, "noise": 0.0})  # of which it is 4 + 1


def regress(spread: Layout, update: Update, batch: int = 64) -> Plan:
    """Steps so small that the weights stay where they are, each of them measured."""
    plan = trial_plan(
        recipe=Recipe("regress", {}),
        data=Data(batch=batch),
        optim=Optim("sgd", lr=1e-12),
        budget=Budget(steps=STEPS),
        evaluate=Evaluate(every=STEPS),
        layout=spread,
        update=update,
        tracking=Tracking("none", noise=1),
    )
    return replace(plan, place=replace(plan.place, recipe_file="recipes/regress.py"))


def measured(home: Path, step: int = STEPS) -> Estimate:
    return Estimate(sums=saved(home, step)[1]["progress"]["noise"])


def heard(plan: Plan, home: Path) -> Estimate:
    """What all steps of a run came to."""
    told = Gang(plan, home).wait()[0] if plan.devices > 1 else train(plan, home)
    assert told.code == 0, told.events[-1]
    return measured(home, plan.budget.steps or 0)


def test_one_device_hears_its_first_micro_batch(tmp_path: Path) -> None:
    found = heard(regress(Layout(), Update(accumulate=4)), tmp_path)
    assert found.count == STEPS
    assert found.scale == pytest.approx(TRUE, rel=0.15)
    ends = found.interval()
    assert ends
    assert ends[0] < TRUE < ends[1]


@pytest.mark.parametrize(("batch", "pieces"), [(5, 2), (6, 4)])
def test_a_first_micro_batch_may_be_larger_than_the_others(
    batch: int, pieces: int, tmp_path: Path
) -> None:
    plan = regress(Layout(), Update(accumulate=pieces), batch)
    plan = replace(plan, recipe=SMALL, budget=Budget(steps=2000))
    assert heard(plan, tmp_path).scale == pytest.approx(5, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spread", "update"),
    [(ddp(), Update(accumulate=2)), (layout("fsdp"), Update())],
    ids=str,
)
def test_ranks_hear_as_many_examples_as_they_have(
    spread: Layout, update: Update, tmp_path: Path
) -> None:
    plan = regress(spread, update, 5)
    plan = replace(plan, recipe=SMALL, budget=Budget(steps=2000))
    assert heard(plan, tmp_path).scale == pytest.approx(5, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spread", "update"),
    [
        (ddp(), Update()),
        (ddp(), Update(accumulate=2)),
        (ddp(4), Update()),
        (layout("fsdp"), Update()),
        (layout("fsdp"), Update(accumulate=2)),
        (Layout("hsdp", shard=2, replicate=2), Update()),
    ],
    ids=str,
)
def test_each_rank_hears_its_own_share(spread: Layout, update: Update, tmp_path: Path) -> None:
    assert heard(regress(spread, update), tmp_path).scale == pytest.approx(TRUE, rel=0.15)


@pytest.mark.slow
def test_on_one_stream_ranks_and_micro_batches_hear_the_same(tmp_path: Path) -> None:
    kinds = {
        "ddp": regress(ddp(), Update()),
        "fsdp": regress(layout("fsdp"), Update()),
        "alone": regress(Layout(), Update(accumulate=2)),
    }
    found = {name: heard(plan, tmp_path / name).scale for name, plan in kinds.items()}
    print(found)
    assert found["ddp"] == pytest.approx(found["fsdp"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensor", "pipeline"])
def test_parts_of_a_model_hear_what_one_device_hears(name: str, tmp_path: Path) -> None:
    changes = {"tracking": Tracking("none", noise=1), "precision": "fp64"}
    alone = heard(plan_for(name, **changes), tmp_path / "one")
    parts = heard(plan_for(name, layout=layout(name), **changes), tmp_path / "two")
    assert not math.isnan(alone.trace)
    assert parts.trace == pytest.approx(alone.trace, rel=1e-5)
    assert parts.square == pytest.approx(alone.square, rel=1e-4)


def test_one_piece_by_itself_tells_nothing(tmp_path: Path) -> None:
    told = train(replace(regress(Layout(), Update()), budget=Budget(steps=20)), tmp_path)
    assert told.code == 0
    assert saved(tmp_path, 20)[1]["progress"]["noise"] == []


def test_what_was_measured_outlives_an_interruption(tmp_path: Path) -> None:
    plan = replace(regress(Layout(), Update(accumulate=2)), budget=Budget(steps=40))
    assert train(replace(plan, budget=Budget(steps=20)), tmp_path).code == 0
    assert train(plan, tmp_path, attempt=2).code == 0
    assert measured(tmp_path, 40).count == 40


def test_a_run_with_batch_normalisation_says_what_its_noise_scale_means(tmp_path: Path) -> None:
    plan = trial_plan(recipe=Recipe("normed", {}), update=Update(accumulate=2))
    plan = replace(plan, place=replace(plan.place, recipe_file="recipes/normed.py"))
    told = train(plan, tmp_path / "heard")
    (said,) = told.of("notice")
    assert said["about"] == "noise"
    assert "batch normalisation (0)" in said["message"]
    assert train(replace(plan, update=Update()), tmp_path / "deaf").of("notice") == []
