"""Embeddings of which a batch touches few rows: only these travel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.test_equal import agree
from tests.engine.test_resume import joined, parameters, same
from tests.engine.trials import Gang, train, trial_plan
from turnaround.engine.service.parameters import Shard
from turnaround.spec import Budget, Checkpoint, Evaluate, Optim, Plan, Recipe, Update

ADAGRAD = Optim("adagrad", lr=0.1)


def large(rows: int, steps: int, update: Update, sparse: bool = False) -> Plan:
    """A table of which eleven rows are in use."""
    return trial_plan(
        update=update,
        optim=ADAGRAD,
        recipe=Recipe("digits", {"rows": rows, "sparse": sparse}),
        budget=Budget(steps=steps),
        evaluate=Evaluate(every=steps),
        checkpoint=Checkpoint(every=steps),
    )


@pytest.mark.parametrize("sparse", [False, True])
def test_only_touched_rows_travel_and_the_curve_is_that_of_one_device(
    sparse: bool, tmp_path: Path
) -> None:
    plan = large(5000, 40, Update("async", groups=1), sparse)
    told = train(plan, tmp_path / "worker")
    agree(train(replace(plan, update=Update()), tmp_path / "device"), told, 5e-5)
    dense = 2 * 5000 * 8 * 4  # there and back
    first = 5000 * (8 * 4 + 4) / 40  # the whole table is fetched once
    assert told.curve("update/bytes")[40] - first < 0.05 * dense


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_gradients_of_some_rows_wait_to_be_pushed_as_those_of_all_do(
    decay: float, tmp_path: Path
) -> None:
    update = Update("hybrid", groups=1, every=2, pull=4)
    some, all_rows = (
        replace(large(50, 40, update, sparse), optim=replace(ADAGRAD, weight_decay=decay))
        for sparse in (True, False)
    )
    told = train(some, tmp_path / "some")
    agree(train(all_rows, tmp_path / "all"), told, 5e-5)


@pytest.mark.slow
def test_of_a_million_rows_two_percent_and_less_travel(tmp_path: Path) -> None:
    plan = large(1_000_000, 200, Update("async", groups=2))
    told = Gang(plan, tmp_path).wait()
    assert [rank.code for rank in told] == [0, 0], told[0].events[-1]
    last = told[0].one("summary")["steps"]
    assert told[0].curve("update/bytes")[last] < 0.02 * 2 * 1_000_000 * 8 * 4


def test_the_services_adagrad_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    plan = replace(large(50, 40, Update("async", groups=1)), checkpoint=Checkpoint(every=20))
    whole = train(plan, tmp_path / "whole")
    half = train(replace(plan, budget=Budget(steps=20)), tmp_path / "halves")
    rest = train(plan, tmp_path / "halves", attempt=2)
    assert joined(half, rest) == whole.curve()
    assert same(parameters(tmp_path / "whole", 40), parameters(tmp_path / "halves", 40))


def test_a_pull_brings_what_was_pushed_since_the_last() -> None:
    def make(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=1.0)

    shard = Shard({"table": torch.zeros(6, 2), "bias": torch.zeros(3)}, {"table"}, make)
    count, flat, [(index, _)] = shard.pull(-1)
    assert (count, flat.shape, index.tolist()) == (0, (3,), [0, 1, 2, 3, 4, 5])
    touched = (torch.tensor([1, 4], dtype=torch.int32), torch.ones(2, 2))
    shard.push(torch.ones(3), [touched], 0.5)
    count, flat, [(index, rows)] = shard.pull(count)
    assert flat.tolist() == [-0.5] * 3
    assert index.tolist() == [1, 4]
    assert rows.tolist() == [[-0.5, -0.5]] * 2
    assert shard.pull(count)[2][0][0].numel() == 0
