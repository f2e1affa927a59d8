"""Gradients that travel in 16 bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]  # torch lists it nowhere

from tests.engine.trials import Gang, Told, ddp, trial_plan
from turnaround.engine.compress import Compressed
from turnaround.engine.world import World
from turnaround.spec import Optim, Plan, Recipe, Update


def trained(plan: Plan, home: Path) -> Told:
    told = Gang(replace(plan, layout=ddp(2)), home).wait()
    assert [rank.code for rank in told] == [0, 0], told[0].events[-1]
    return told[0]


@pytest.mark.parametrize(("kind", "tolerance"), [("bf16", 0.02), ("fp16", 0.002)])
def test_half_the_bytes_give_nearly_the_same_curve(
    kind: str, tolerance: float, tmp_path: Path
) -> None:
    plan = trial_plan(optim=Optim("sgd", lr=0.5))
    update = Update(compress=kind)  # type: ignore[arg-type]  # one of its words
    whole = trained(plan, tmp_path / "whole")
    half = trained(replace(plan, update=update), tmp_path / "half")
    assert half.curve() == pytest.approx(whole.curve(), rel=tolerance)
    assert half.curve() != whole.curve()
    sent = [told.curve("update/bytes")[40] for told in (whole, half)]
    assert sent[1] == pytest.approx(sent[0] / 2)


@pytest.mark.parametrize("kind", ["bf16", "fp16"])
def test_rows_of_a_table_are_added_up_too(kind: str, tmp_path: Path) -> None:
    plan = trial_plan(
        recipe=Recipe("digits", {"sparse": True}), optim=Optim("adagrad", lr=0.1, clip=1.0)
    )
    update = Update(compress=kind)  # type: ignore[arg-type]  # one of its words
    whole = trained(plan, tmp_path / "whole")
    half = trained(replace(plan, update=update), tmp_path / "half")
    assert half.curve() == pytest.approx(whole.curve(), rel=0.02)


@pytest.fixture
def alone() -> Iterator[World]:
    """A process group of one."""
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield World(torch.device("cpu"))
    dist.destroy_process_group()


def test_sums_too_large_for_fp16_arrive(alone: World) -> None:
    """A gradient summed over many targets may be 1e6; the numbers of fp16 end at 65,504."""
    bucket = torch.tensor([1e6, -3e6, 1e5])
    Compressed(torch.float16, alone)(bucket).wait()
    assert bucket.tolist() == pytest.approx([1e6, -3e6, 1e5], rel=1e-3)


def test_what_is_not_finite_stays_so(alone: World) -> None:
    bucket = torch.tensor([1.0, torch.inf, torch.nan])
    Compressed(torch.float16, alone)(bucket).wait()
    assert not bucket.isfinite().all()
