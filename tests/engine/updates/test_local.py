"""Groups that step on their own and agree now and then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.test_equal import agree
from tests.engine.test_resume import joined, parameters, same
from tests.engine.trials import Gang, Told, ddp, train, trial_plan
from turnaround.engine.checkpoint import Checkpoints
from turnaround.spec import Budget, Checkpoint, Evaluate, Optim, Plan, Recipe, Update

AVERAGING = Update("local", groups=2, every=1, outer_lr=1.0, outer_momentum=0.0)
DILOCO = Update("local", groups=2, every=7)


def plan(update: Update, **changes: object) -> Plan:
    fixed = {"precision": "fp64", "optim": Optim("sgd", lr=0.5), "update": update}
    return trial_plan(**fixed | changes)


def first(plan: Plan, home: Path, attempt: int = 1) -> Told:
    """What rank 0 said of a run that all ranks ended well."""
    told = Gang(plan, home, attempt).wait()
    assert [rank.code for rank in told] == [0] * len(told), told[0].events[-1]
    return told[0]


def alike(one: Told, two: Told, tolerance: float) -> None:
    """The same losses and scores; each group has a gradient norm of its own."""
    two.events = [
        replace(event, data={**event.data, "values": {**event.data["values"], "norm": norm}})
        if event.kind == "metrics"
        and (norm := one.curve("norm").get(event.data["step"]))
        and "loss" in event.data["values"]
        and event.data["split"] == "train"
        else event
        for event in two.events
    ]
    agree(one, two, tolerance)


def test_agreeing_at_every_step_is_one_large_batch(tmp_path: Path) -> None:
    alike(train(plan(Update()), tmp_path / "one"), first(plan(AVERAGING), tmp_path / "two"), 1e-9)


def test_the_same_in_single_precision(tmp_path: Path) -> None:
    one = train(plan(Update(), precision="fp32"), tmp_path / "one")
    alike(one, first(plan(AVERAGING, precision="fp32"), tmp_path / "two"), 1e-6)


@pytest.mark.slow
def test_groups_of_two_that_agree_at_every_step_are_one_large_batch(tmp_path: Path) -> None:
    one = train(plan(Update()), tmp_path / "one")
    alike(one, first(plan(AVERAGING, layout=ddp(2)), tmp_path / "four"), 1e-9)


def test_federated_averaging_is_the_mean_weighted_by_what_groups_have_seen(tmp_path: Path) -> None:
    """In the middle of a round, and at its end: what is kept is the mean of the groups."""
    rounds = plan(replace(AVERAGING, every=10), budget=Budget(steps=10), checkpoint=Checkpoint(5))
    first(rounds, tmp_path)
    folder = tmp_path / "runs" / "digits-22222" / "checkpoints"
    middle, end = (Checkpoints(folder, 2, warn=print).load(f"step-{step:08d}") for step in (5, 10))
    seen = [group["since"][1] for group in middle["local"]["groups"]]
    assert seen[0] != seen[1]
    for name, mean in middle["model"].items():
        one, two = (group["model"][name] for group in middle["local"]["groups"])
        torch.testing.assert_close(mean, (seen[0] * one + seen[1] * two) / sum(seen))
    for group in end["local"]["groups"]:
        assert same(group["model"], end["model"])


def test_diloco_learns(tmp_path: Path) -> None:
    told = first(plan(DILOCO, optim=Optim("adamw", lr=0.01)), tmp_path)
    losses = told.curve("loss", "valid")
    assert losses[40] < 0.8 * losses[10]
    assert told.curve("update/bytes")[40] > 0


def test_n_steps_and_n_more_are_two_n_also_in_the_middle_of_a_round(tmp_path: Path) -> None:
    whole_plan = plan(
        DILOCO,
        recipe=Recipe("digits", {"dropout": 0.3}),
        optim=Optim("adam", lr=0.01),
        checkpoint=Checkpoint(every=10),
    )
    whole = first(whole_plan, tmp_path / "whole")
    half = first(replace(whole_plan, budget=Budget(steps=20)), tmp_path / "halves")
    rest = first(whole_plan, tmp_path / "halves", attempt=2)
    assert min(rest.curve()) == 21
    assert joined(half, rest) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "halves", 40))


def test_one_device_goes_on_from_where_groups_were(tmp_path: Path) -> None:
    first(plan(DILOCO, budget=Budget(steps=20)), tmp_path)
    told = train(plan(Update()), tmp_path, attempt=2)
    assert told.code == 0
    assert min(told.curve()) == 21


def test_looking_between_agreements_changes_nothing(tmp_path: Path) -> None:
    seldom = first(plan(DILOCO, evaluate=Evaluate(every=40)), tmp_path / "seldom")
    often = first(plan(DILOCO, evaluate=Evaluate(every=3)), tmp_path / "often")
    assert often.curve() == seldom.curve()
    assert often.curve("loss", "valid")[40] == seldom.curve("loss", "valid")[40]
