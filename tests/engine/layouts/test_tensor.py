from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from turnaround.engine import Recipe
from turnaround.engine.layouts.tensor import check, resolve
from turnaround.errors import ConfigError
from turnaround.spec import Data

CUTS = {"blocks.*.up": "column", "blocks.*.down": "row"}


class Layer(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.up, self.down, self.norm = nn.Linear(4, 12), nn.Linear(12, 4), nn.LayerNorm(4)


def model(heads: int = 6) -> nn.Module:
    return nn.ModuleDict({"blocks": nn.ModuleList([Layer(heads), Layer(heads)])})


def recipe(table: dict[str, str]) -> Recipe[Any]:
    class Text(Recipe[Any]):
        cuts = table

    return Text(None, Data(), Path())


def refusal(table: dict[str, str], degree: int = 2, heads: int = 6) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(recipe(table), model(heads), degree)
    return str(caught.value)


def checked(recipe: Recipe[Any], model: nn.Module, degree: int) -> None:
    for name, kind in resolve(recipe, model):
        check(model, name, kind, degree)


def test_a_star_stands_for_one_part_of_a_name() -> None:
    assert dict(resolve(recipe(CUTS), model())) == {
        "blocks.0.up": "column",
        "blocks.1.up": "column",
        "blocks.0.down": "row",
        "blocks.1.down": "row",
    }


def test_a_recipe_without_a_table_is_shown_how_to_write_one() -> None:
    assert refusal({}) == (
        "layout=tensor needs to know where to cut, and recipe Text has no table; its linear layers "
        "are blocks.0.up, blocks.0.down, blocks.1.up, blocks.1.down\n"
        '  → write in class Text: cuts = {"blocks.*.up": "column", "blocks.*.down": "row"}'
    )


def test_a_table_that_does_not_fit_the_model_is_refused() -> None:
    assert refusal({"blocks.0.upp": "column"}).startswith(
        "cuts of Text: no layer is called blocks.0.upp\n  → did you mean blocks.0.up"
    )
    assert refusal({"blocks.*.up": "columns"}) == (
        'cuts of Text: "columns" for blocks.*.up\n  → say column or row'
    )
    assert refusal({"blocks.*.norm": "row"}) == (
        "cuts: blocks.0.norm is a LayerNorm\n  → only an nn.Linear can be cut by column or row"
    )


def test_a_degree_that_does_not_divide_is_refused() -> None:
    assert refusal(CUTS, 5) == (
        "layout.tensor=5 does not divide the 12 outputs of blocks.0.up\n  → layout.tensor=4"
    )
    assert refusal(CUTS, 4) == (
        "layout.tensor=4 does not divide the 6 heads around blocks.0.up\n  → layout.tensor=3"
    )
