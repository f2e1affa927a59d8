"""What is found out about a plan without training: the errors of a run, and how much it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.engine.trials import PROJECT, Gang, trial_plan
from turnaround import worker
from turnaround.engine import preflight
from turnaround.engine.recipe import Recipe, load
from turnaround.errors import ConfigError
from turnaround.spec import Evaluate, Fit, Layout, Optim, Plan
from turnaround.spec import Recipe as Asked


def looked(plan: Plan) -> Fit:
    def make() -> Recipe[Any]:
        file = PROJECT / "recipes" / f"{plan.recipe.name}.py"
        return load(file, plan, Path("/nowhere"))

    layout = worker.layout_of(plan)
    return preflight.look(plan, make, layout)


def tower(layout: Layout, **changes: Any) -> Plan:
    return trial_plan(recipe=Asked("tower", {}), layout=layout, **changes)


def refusal(plan: Plan) -> str:
    with pytest.raises(ConfigError) as caught:
        looked(plan)
    return str(caught.value)


def test_parameters_memory_and_scores_are_told() -> None:
    found = looked(tower(Layout(), optim=Optim("adam")))
    assert found.parameters == found.portion == 2554
    assert found.bytes == 4 * 2554 * 4  # parameters, gradients and two moments of adam
    assert found.scores == ["loss", "right"]
    momentum = looked(tower(Layout(), optim=Optim("momentum"), precision="fp64"))
    assert momentum.bytes == 8 * 2554 * 3


def test_a_layout_in_parts_needs_less_of_each_device() -> None:
    whole = looked(tower(Layout())).parameters
    assert looked(tower(Layout("fsdp", shard=2))).portion == whole // 2
    assert looked(tower(Layout("hsdp", shard=2, replicate=2))).portion == whole // 2
    cut = looked(tower(Layout("tensor", tensor=2))).portion
    both = looked(tower(Layout("tensor", tensor=2, shard=2))).portion
    staged = looked(tower(Layout("pipeline", pipeline=2))).portion
    assert whole / 2 < cut < whole
    assert whole / 4 < both < cut
    assert whole / 2 < staged < whole


def test_a_model_of_any_size_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(preflight, "SMALL", 1000)
    monkeypatch.setattr(preflight, "_scores", lambda *_: seen.append("built"))
    assert looked(tower(Layout())).scores == []
    assert not seen


def test_what_a_layout_cannot_cut_is_refused() -> None:
    assert refusal(tower(Layout("tensor", tensor=3))).startswith("layout.tensor=3 does not divide")
    assert refusal(tower(Layout("pipeline", pipeline=9))) == (
        "layout.pipeline=9 asks for more stages than the model's 6 parts\n  → layout.pipeline=6"
    )
    assert "recipe Digits has no table" in refusal(trial_plan(layout=Layout("tensor", tensor=2)))
    assert "cannot take the model of recipe Digits apart" in refusal(
        trial_plan(layout=Layout("pipeline", pipeline=2))
    )


@pytest.mark.parametrize(
    ("layout", "device"),
    [
        (Layout("fsdp", shard=2), "cpu"),
        (Layout("hsdp", shard=2, replicate=2), "cpu"),
        (Layout("ddp", 2), "cuda"),
    ],
)
def test_sparse_gradients_that_a_layout_does_not_add_up_are_refused(
    layout: Layout, device: Any
) -> None:
    plan = trial_plan(
        recipe=Asked("digits", {"sparse": True}), optim=Optim("adagrad"), layout=layout
    )
    cluster = replace(plan.cluster, device=device)
    assert refusal(replace(plan, cluster=cluster)) == (
        f"layout={layout.name} on {device} does not add up the sparse gradients of embed\n"
        "  → sparse=false for the recipe's tables, or layout=single"
    )
    alone = replace(layout, replicate=None, shard=None)
    assert looked(replace(plan, cluster=cluster, layout=alone)).parameters > 0
    assert looked(replace(plan, layout=Layout("ddp", 2))).parameters > 0


def test_the_layout_of_a_run_refuses_them_too(tmp_path: Path) -> None:
    plan = trial_plan(
        recipe=Asked("digits", {"sparse": True}),
        optim=Optim("adagrad"),
        layout=Layout("fsdp", shard=2),
    )
    for told in Gang(plan, tmp_path).wait():
        assert told.code == 2
        assert "does not add up the sparse gradients" in told.one("error")["message"]


def test_a_score_that_the_recipe_does_not_tell_is_refused() -> None:
    assert refusal(tower(Layout(), evaluate=Evaluate(score="acc"))).startswith(
        "evaluate.score=acc is not among the scores\n  → "
    )


def test_a_recipe_that_cannot_be_made_without_numbers_is_made_with_them() -> None:
    class Counting(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, int(torch.ones(3).sum()))  # of which the meta device knows nothing

    plan = tower(Layout(), budget=replace(trial_plan().budget, steps=1))
    recipe = load(PROJECT / "recipes" / "tower.py", plan, Path("/nowhere"))
    recipe.model = Counting  # type: ignore[method-assign]  # the point of the test
    _, model = preflight._outline(lambda: recipe)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
