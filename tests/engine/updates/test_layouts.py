"""Groups whose ranks each hold a part of the parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_equal import agree
from tests.engine.trials import Gang, Told, train, trial_plan
from tests.engine.updates.test_local import AVERAGING, alike
from turnaround.spec import Layout, Optim, Plan, Update

FSDP = Layout("fsdp", shard=2)
FIXED = {"precision": "fp64", "optim": Optim("adam", lr=0.01)}


def ended(plan: Plan, home: Path) -> Told:
    told = Gang(plan, home).wait()
    assert [rank.code for rank in told] == [0] * len(told), told[0].events[-1]
    return told[0]


def test_one_group_of_two_shards_around_a_service_is_one_device(tmp_path: Path) -> None:
    plan = trial_plan(update=Update("hybrid", groups=1), layout=FSDP, **FIXED)
    agree(train(trial_plan(**FIXED), tmp_path / "one"), ended(plan, tmp_path / "two"), 1e-9)


@pytest.mark.slow
def test_two_groups_of_two_shards_around_a_service_learn(tmp_path: Path) -> None:
    plan = trial_plan(update=Update("hybrid", groups=2), layout=FSDP, **FIXED)
    losses = ended(plan, tmp_path).curve("loss", "valid")
    assert losses[max(losses)] < losses[min(losses)]


@pytest.mark.slow
def test_two_groups_of_two_shards_that_agree_at_every_step_are_one_large_batch(
    tmp_path: Path,
) -> None:
    inner = {"precision": "fp64", "optim": Optim("sgd", lr=0.5)}
    four = ended(trial_plan(update=AVERAGING, layout=FSDP, **inner), tmp_path / "four")
    alike(train(trial_plan(**inner), tmp_path / "one"), four, 1e-9)
