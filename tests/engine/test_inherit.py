"""`init_from`: what is taken from another run, what is not, and that every layout can."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.spread import LAYOUTS, layout, plan_for, saved
from tests.engine.trials import Gang, Told, train, trial_plan
from turnaround.spec import Budget, Evaluate, Optim, Plan, Recipe, Update

SOURCE = "digits-33333"
STILL: dict[str, Any] = {
    "optim": Optim("sgd", lr=1e-30),
    "budget": Budget(steps=2),
    "init_from": SOURCE,
}


def taught(home: Path, plan: Plan | None = None) -> Told:
    """A run of twenty steps, which is then called SOURCE."""
    told = train(plan or trial_plan(budget=Budget(steps=20), precision="fp64"), home)
    (home / "runs" / "digits-22222").rename(home / "runs" / SOURCE)
    return told


def best(told: Told) -> float:
    return float(told.one("summary")["values"]["test/loss"])


def test_a_run_starts_from_the_best_parameters_of_another(tmp_path: Path) -> None:
    first = taught(tmp_path)
    second = train(trial_plan(precision="fp64", **STILL), tmp_path)
    assert second.one("notice")["message"] == (
        f"init_from={SOURCE}: 7 of 7 tensors are those of best-00000020"
    )
    assert best(second) == pytest.approx(best(first), rel=1e-12)


def test_where_nothing_was_judged_it_starts_from_the_newest(tmp_path: Path) -> None:
    taught(tmp_path)
    shutil.rmtree(tmp_path / "runs" / SOURCE / "checkpoints" / "best-00000020")
    told = train(trial_plan(precision="fp64", **STILL), tmp_path)
    assert told.one("notice")["message"].endswith("are those of step-00000020")


def test_what_does_not_agree_stays_fresh_and_is_named(tmp_path: Path) -> None:
    taught(tmp_path)
    wider = Recipe("digits", {"rows": 13})
    told = train(trial_plan(recipe=wider, **STILL), tmp_path)
    assert told.one("notice")["message"] == (
        f"init_from={SOURCE}: 6 of 7 tensors are those of best-00000020; "
        "fresh: embed.weight (13, 8) there (11, 8)"
    )


def test_a_run_that_has_nothing_in_common_is_refused(tmp_path: Path) -> None:
    taught(tmp_path)
    told = train(trial_plan(recipe=Recipe("digits", {"width": 4, "rows": 12}), **STILL), tmp_path)
    assert told.code == 0  # the bias of the last layer does agree
    (tmp_path / "runs" / "digits-22222" / "checkpoints").rename(tmp_path / "old")
    tower = replace(trial_plan().place, recipe_file="recipes/tower.py")
    told = train(trial_plan(recipe=Recipe("tower", {}), place=tower, **STILL), tmp_path)
    assert told.code == 2
    error = told.one("error")
    assert error["message"].startswith(
        f"init_from={SOURCE}: nothing of best-00000020 has the name and shape of one of this "
        "model's: "
    )
    assert error["hint"] == "start from a run of a like model, or without init_from"


def test_a_run_that_was_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    told = train(trial_plan(**STILL), tmp_path)
    assert told.code == 2
    message = f"init_from={SOURCE}: it has no checkpoint any more"
    assert told.one("error")["message"] == message


def test_a_resumed_run_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    taught(tmp_path)
    plan = trial_plan(init_from=SOURCE, evaluate=Evaluate(every=10))
    whole = train(plan, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "digits-22222")
    train(replace(plan, budget=Budget(steps=20)), tmp_path)
    shutil.rmtree(tmp_path / "runs" / SOURCE)
    rest = train(plan, tmp_path, attempt=2)
    assert rest.of("notice") == []
    assert rest.curve() == {step: loss for step, loss in whole.curve().items() if step > 20}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_starts_from_the_same_parameters(name: str, tmp_path: Path) -> None:
    plan = plan_for(name, budget=Budget(steps=4), evaluate=Evaluate(every=4), precision="fp64")
    taught(tmp_path, plan)
    kept, _ = saved(_renamed(tmp_path), 4)
    told, *_ = Gang(replace(plan, layout=layout(name), **STILL), tmp_path).wait()
    assert told.code == 0, told.of("error")
    assert len(told.of("notice")) == 1
    taken, _ = saved(tmp_path, 2)
    for key in (key for key in kept if key.startswith("/model/")):
        assert taken[key].equal(kept[key]), key


@pytest.mark.parametrize("update", [Update("local", groups=2, every=2), Update("async", groups=2)])
def test_groups_start_from_them_too(update: Update, tmp_path: Path) -> None:
    first = taught(tmp_path)
    plan = trial_plan(precision="fp64", update=update, **STILL)
    told, *_ = Gang(plan, tmp_path).wait()
    assert told.code == 0, told.of("error")
    assert best(told) == pytest.approx(best(first), rel=1e-9)


def _renamed(home: Path) -> Path:
    """A home in which SOURCE has the name of the run under test."""
    shutil.copytree(home / "runs" / SOURCE, home / "as" / "runs" / "digits-22222")
    return home / "as"
