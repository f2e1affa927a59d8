"""Steps that do not wait for the slowest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from tests.engine.test_equal import agree
from tests.engine.trials import Gang, Told, ddp, train, trial_plan
from turnaround.engine.updates.sync import drawn
from turnaround.spec import Budget, Evaluate, Layout, Optim, Plan, Recipe, Update


def ended(plan: Plan, home: Path) -> Told:
    """What rank 0 said of a run that all ranks ended well."""
    told = Gang(plan, home).wait()
    assert [rank.code for rank in told] == [0] * len(told), told[0].events[-1]
    return told[0]


def patient(groups: int, **changes: Any) -> Plan:
    """A plan that waits for every group."""
    update = Update("backup", groups=groups, spares=0)
    return trial_plan(update=update, precision="fp64", optim=Optim("adam", lr=0.01), **changes)


def test_a_step_that_waits_for_all_is_that_of_one_device(tmp_path: Path) -> None:
    one = train(trial_plan(precision="fp64", optim=Optim("adam", lr=0.01)), tmp_path / "one")
    agree(one, ended(patient(2), tmp_path / "two"), 1e-9)


def test_so_it_is_where_gradients_hold_some_rows_of_a_table(tmp_path: Path) -> None:
    rows: dict[str, Any] = {
        "recipe": Recipe("digits", {"sparse": True}),
        "optim": Optim("adagrad", lr=0.1),
    }
    one = train(trial_plan(precision="fp64", **rows), tmp_path / "one")
    agree(one, ended(replace(patient(2), **rows), tmp_path / "two"), 1e-9)


@pytest.mark.slow
def test_groups_of_two_that_all_wait_are_one_device(tmp_path: Path) -> None:
    one = train(trial_plan(precision="fp64", optim=Optim("adam", lr=0.01)), tmp_path / "one")
    agree(one, ended(patient(2, layout=ddp(2)), tmp_path / "four"), 1e-9)


def order_statistic(plan: Plan, steps: int) -> float:
    """Mean over the steps of the N-th shortest of the delays that all groups draw."""
    groups, spares = plan.update.groups or 1, plan.update.spares
    delays = [
        sorted(drawn(plan.update.straggle, plan.seed, group, step) for group in range(groups))
        for step in range(1, steps + 1)
    ]
    return mean(row[groups - spares - 1] for row in delays)


def seconds_a_step(told: Told, steps: int) -> float:
    """From the first step to the last."""
    at = {e.data["step"]: e.data["seconds"] for e in told.events if e.kind == "metrics"}
    return (at[steps] - at[1]) / (steps - 1)


def test_late_groups_are_dropped_and_hold_nobody_up(tmp_path: Path) -> None:
    update = Update("backup", groups=3, spares=1, straggle=0.1)
    plan = trial_plan(
        update=update, layout=Layout(), budget=Budget(steps=20), evaluate=Evaluate(every=20)
    )
    told = ended(plan, tmp_path)
    assert told.curve("update/dropped")[20] == 20
    losses = told.curve()
    assert losses[20] < losses[1]
    everybody = order_statistic(replace(plan, update=replace(update, spares=0)), 20)
    assert seconds_a_step(told, 20) < 0.9 * everybody
    assert seconds_a_step(told, 20) > 0.9 * order_statistic(plan, 20)


@pytest.mark.slow
def test_a_step_takes_as_long_as_the_nth_of_the_delays_drawn(tmp_path: Path) -> None:
    """The bare step is subtracted; only the delays' order statistic is left."""
    steps, looks = 100, Evaluate(every=100)
    update = Update("backup", groups=4, spares=1, straggle=0.4)
    plan = trial_plan(update=update, budget=Budget(steps=steps), evaluate=looks)
    bare = ended(replace(plan, update=replace(update, straggle=0.0)), tmp_path / "bare")
    told = ended(plan, tmp_path / "straggling")
    took = seconds_a_step(told, steps) - seconds_a_step(bare, steps)
    assert took == pytest.approx(order_statistic(plan, steps), rel=0.05)
