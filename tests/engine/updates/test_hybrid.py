"""Groups at their own pace, around a parameter service."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_equal import agree
from tests.engine.test_resume import dropping, interrupted, joined, parameters, same
from tests.engine.trials import Gang, Told, ddp, train, trial_of, trial_plan
from turnaround.engine.checkpoint import Checkpoints
from turnaround.spec import Budget, Checkpoint, Optim, Plan, Recipe, Update

ALONE, TWO = Update("async", groups=1), Update("async", groups=2)
# One group waits for nobody, so only rounding may differ. In fp32 AdaGrad's first steps amplify it.
CASES: dict[str, tuple[float, dict[str, Any]]] = {
    "fp64": (1e-9, {"precision": "fp64", "optim": Optim("adam", lr=0.01, clip=0.1)}),
    "fp32": (1e-6, {"optim": Optim("sgd", lr=0.5)}),
    "fp32 adagrad": (5e-5, {"optim": Optim("adagrad", lr=0.1)}),
}


def slow(update: Update, **changes: Any) -> Plan:
    """A plan whose steps take 20 ms, so that all groups are there before it is over."""
    return trial_plan(update=update, recipe=Recipe("digits", {"pause": 0.02}), **changes)


def ended(plan: Plan, home: Path) -> list[Told]:
    """What every rank said of a run that all ended well."""
    told = Gang(plan, home).wait()
    assert [rank.code for rank in told] == [0] * len(told), told[0].events[-1]
    return told


@pytest.mark.parametrize("case", CASES)
def test_one_worker_is_one_device(case: str, tmp_path: Path) -> None:
    tolerance, changes = CASES[case]
    told = train(trial_plan(update=ALONE, **changes), tmp_path / "worker")
    agree(train(trial_plan(**changes), tmp_path / "device"), told, tolerance)


def test_so_it_is_where_parameters_do_not_lie_row_by_row(tmp_path: Path) -> None:
    plan = trial_of("turned", **CASES["fp64"][1])
    told = train(replace(plan, update=ALONE), tmp_path / "worker")
    agree(train(plan, tmp_path / "device"), told, 1e-9)


@pytest.mark.parametrize("shards", [1, 3])
def test_one_group_of_two_is_one_device(shards: int, tmp_path: Path) -> None:
    changes = {"precision": "fp64", "optim": Optim("adam", lr=0.01)}
    update = Update("hybrid", groups=1, shards=shards)
    two = ended(trial_plan(update=update, layout=ddp(2), **changes), tmp_path / "two")
    agree(train(trial_plan(**changes), tmp_path / "one"), two[0], 1e-9)


def test_n_steps_and_n_more_are_two_n_bit_for_bit(tmp_path: Path) -> None:
    plan = dropping(update=ALONE)
    whole = train(plan, tmp_path / "whole")
    half = train(replace(plan, budget=Budget(steps=20)), tmp_path / "halves")
    rest = train(plan, tmp_path / "halves", attempt=2)
    assert min(rest.curve()) == 21
    assert joined(half, rest) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "halves", 40))


def test_two_workers_share_the_work_and_say_how_stale_it_was(tmp_path: Path) -> None:
    told = ended(slow(TWO, budget=Budget(steps=60)), tmp_path)
    summary = told[0].one("summary")
    assert 60 <= summary["steps"] <= 61
    assert summary["examples"] == 10 * summary["steps"]
    assert len(told[0].curve()) < 50  # the other group did the rest
    (staleness,) = {*told[0].curve("update/staleness").values()} & {
        [*told[0].curve("update/staleness").values()][-1]
    }
    assert 0.2 < staleness <= 2.0
    assert told[0].curve("update/bytes")[summary["steps"]] > 0
    losses = told[0].curve("loss", "valid")
    assert losses[max(losses)] < losses[min(losses)]


def test_nobody_goes_on_before_all_groups_have_what_they_go_on_from(tmp_path: Path) -> None:
    plan = trial_plan(update=TWO, checkpoint=Checkpoint(every=5, keep=1), precision="fp64")
    ended(replace(plan, budget=Budget(steps=10)), tmp_path)
    late = Recipe("digits", {"slow": 1, "wake": 3.0, "pause": 0.02})
    gang = Gang(replace(plan, recipe=late), tmp_path, attempt=2)
    told = gang.wait()
    assert [rank.code for rank in told] == [0, 0], told[0].events[-1]
    assert min(told[0].curve()) in (11, 12)
    assert len(told[0].curve()) < 28  # the late group has done the rest


def test_a_dead_worker_does_not_stop_the_others(tmp_path: Path) -> None:
    three = slow(Update("async", groups=3), budget=Budget(steps=120))
    told = Gang(interrupted(three, signal.SIGKILL, 10, whose=2), tmp_path).wait()
    assert [rank.code for rank in told] == [0, 0, -9]
    assert told[0].one("summary")["steps"] >= 120
    assert told[0].one("warning")["message"] == "group 2 was lost; the others go on"


def test_a_dead_first_worker_ends_the_run(tmp_path: Path) -> None:
    gang = Gang(slow(TWO, budget=Budget(steps=500)), tmp_path)
    gang.until(lambda told: bool(told.curve()))
    gang.ranks[0].kill()
    assert [rank.code for rank in gang.wait()] == [-9, 3]


def test_no_worker_waits_for_ever_for_another_within_a_bound(tmp_path: Path) -> None:
    update = Update("async", groups=2, bound=1, straggle=0.02)
    told = ended(trial_plan(update=update, budget=Budget(steps=40)), tmp_path)
    stalest = max(told[0].curve("update/stalest").values())
    assert stalest <= 4  # from two pushes behind to two ahead


@pytest.mark.slow
def test_a_warm_start_leaves_the_first_steps_to_the_first_group(tmp_path: Path) -> None:
    told = ended(slow(replace(TWO, warm=20), budget=Budget(steps=50)), tmp_path)
    curve = told[0].curve()
    assert list(curve)[:20] == list(range(1, 21))
    assert len(curve) < 50


@pytest.mark.slow
def test_periods_compression_and_stale_rates_learn_too(tmp_path: Path) -> None:
    update = replace(TWO, every=2, pull=4, compress="bf16", stale_lr=True, shards=2)
    plan = slow(update, budget=Budget(steps=120), optim=Optim("adagrad", lr=0.1))
    losses = ended(plan, tmp_path)[0].curve("loss", "valid")
    assert losses[max(losses)] < 0.9 * losses[min(losses)]


def test_a_service_goes_on_from_a_checkpoint_of_sync(tmp_path: Path) -> None:
    plan = dropping(checkpoint=Checkpoint(every=10), precision="fp64")
    whole = train(plan, tmp_path / "whole")
    half = train(replace(plan, budget=Budget(steps=20)), tmp_path / "halves")
    rest = train(replace(plan, update=ALONE), tmp_path / "halves", attempt=2)
    assert joined(half, rest) == pytest.approx(whole.curve(), rel=1e-9)


@pytest.mark.slow
def test_a_stopped_run_saves_and_goes_on_with_what_nobody_has_read(tmp_path: Path) -> None:
    plan = slow(TWO, budget=Budget(steps=80), checkpoint=Checkpoint(every=20))
    stopped, other = Gang(interrupted(plan, signal.SIGTERM, 15, whose=None), tmp_path).wait()
    assert (stopped.code, other.code) == (75, 0)
    saved = stopped.of("checkpoint")[-1]
    folder = tmp_path / "runs" / "digits-22222" / "checkpoints"
    state = Checkpoints(folder, 2, warn=print).load(saved["folder"])
    assert state["service"]["read"] >= state["service"]["examples"]
    rest = Gang(plan, tmp_path, attempt=2).wait()[0]
    assert rest.code == 0, rest.events[-1]
    assert min(rest.curve()) > saved["step"]
    assert rest.one("summary")["steps"] in (80, 81)
