"""Forgetting activations and compiling change the cost of a step, not its numbers."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.spread import LAYOUTS, layout, plan_for
from tests.engine.test_equal import CLIPPED, agree
from tests.engine.trials import Gang, train
from turnaround.spec import Budget, Evaluate, Layout, Plan, Recipe

LOST = 3  # the exit code of a rank that misses another


def of_blocks(name: str = "tensor") -> Plan:
    """A plan whose model is a stack of blocks."""
    tower = plan_for("tensor", **CLIPPED)
    return replace(tower, recipe=Recipe("tower", {"dropout": 0.0 if name != "single" else 0.3}))


def test_one_device_that_forgets_activations_draws_the_same_curve(tmp_path: Path) -> None:
    plan = of_blocks("single")
    forgetful = replace(plan, layout=Layout(activation_checkpointing=True))
    agree(train(plan, tmp_path / "plain"), train(forgetful, tmp_path / "forgetful"), 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_forgets_activations_draws_the_same_curve(name: str, tmp_path: Path) -> None:
    plan = of_blocks()
    forgetful = replace(plan, layout=replace(layout(name), activation_checkpointing=True))
    two, *_ = Gang(forgetful, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["single", *LAYOUTS])
def test_a_compiled_layout_draws_the_same_curve(name: str, tmp_path: Path) -> None:
    plan = of_blocks()
    spread = replace(plan, layout=replace(layout(name, 1 + (name != "single")), compile=True))
    two, *_ = Gang(spread, tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_gang_that_loses_a_rank_ends_and_says_so(name: str, tmp_path: Path) -> None:
    long = {"budget": Budget(steps=100_000), "evaluate": Evaluate(every=100_000)}
    gang = Gang(replace(plan_for(name, **long), layout=layout(name)), tmp_path)
    gang.until(lambda told: 5 in told.curve())
    os.kill(gang.ranks[1].pid or 0, signal.SIGKILL)
    first, second = gang.wait()
    assert (first.code, second.code) == (LOST, -signal.SIGKILL)
    assert first.one("error")["message"].startswith("another rank was lost")
