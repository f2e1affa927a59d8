from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.engine.spread import layout, plan_for
from tests.engine.trials import Gang
from turnaround.engine import Mean, Recipe
from turnaround.engine.layouts.stages import boundaries, owners, shared_out
from turnaround.errors import ConfigError
from turnaround.spec import Data


def stack() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5), nn.Linear(5, 1))


def test_parts_are_shared_out_in_order() -> None:
    parts = list(stack())
    assert shared_out(parts, 2) == [parts[:2], parts[2:]]
    assert shared_out(parts, 3) == [parts[:1], parts[1:2], parts[2:]]


def test_more_stages_than_parts_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        shared_out(list(stack()), 4)
    assert str(caught.value) == (
        "layout.pipeline=4 asks for more stages than the model's 3 parts\n  → layout.pipeline=3"
    )


def test_every_tensor_has_one_stage() -> None:
    model = stack()
    found = owners(model, shared_out(list(model), 2))
    assert [found[name] for name in ("0.weight", "1.bias", "2.weight")] == [0, 0, 1]


def test_a_tensor_of_no_stage_or_of_two_is_refused() -> None:
    model = stack()
    with pytest.raises(ConfigError, match=r"0\.weight belongs to no stage"):
        owners(model, [[model[1]], [model[2]]])
    model[2].weight = nn.Parameter(torch.zeros(5, 5))
    model[1].weight = model[2].weight
    with pytest.raises(ConfigError, match=r"1\.weight belongs to stages 0 and 1"):
        owners(model, shared_out(list(model), 2))


def test_what_goes_between_stages_is_found_without_computing() -> None:
    model = stack().to("meta")

    def forward(called: nn.Module) -> Mean:
        return Mean.of(called(torch.ones(4, 2)).sum(), 4)

    passed = boundaries(forward, shared_out(list(model), 3))
    assert [[tuple(t.shape) for t in tensors] for tensors in passed] == [[(4, 3)], [(4, 5)]]


def test_a_sequential_model_is_taken_apart_and_another_needs_stages() -> None:
    class Text(Recipe[Any]):
        pass

    recipe, model = Text(None, Data(), Path()), stack()
    assert recipe.stages(model) == list(model)
    with pytest.raises(ConfigError) as caught:
        recipe.stages(nn.Linear(2, 2))
    assert str(caught.value) == (
        "layout=pipeline cannot take the model of recipe Text apart\n"
        "  → write def stages(self, model): return [model.embed, *model.blocks, model.out]"
    )


def test_rows_of_another_length_are_refused_before_anybody_waits(tmp_path: Path) -> None:
    plan = plan_for("pipeline")
    uneven = replace(plan.recipe, knobs={"ragged": True})
    gang = Gang(replace(plan, recipe=uneven, layout=layout("pipeline")), tmp_path)
    for told in gang.wait():
        assert told.code == 1
        assert "came after" in told.one("error")["message"]
