"""Every recipe that says it may be fused keeps what that promises."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.fused.test_equal import apart, by_itself
from tests.engine.fused.trials import blobs, together
from turnaround.spec import Data, Evaluate, Plan, Recipe

ROOT = Path(__file__).parents[3]
SHELVES = ("recipes", "scripts/bench/recipes", "turnaround/starter/recipes")
KNOBS: dict[str, list[dict[str, Any]]] = {  # what there is besides the defaults, made small
    "image": [{"model": "plain", "width": 8}],
    "tiny": [{"examples": 200}, {"examples": 200, "model": "conv"}],
    "spirals": [{"examples": 200}],
}
FOUND = [
    file
    for shelf in SHELVES
    for file in sorted((ROOT / shelf).glob("*.py"))
    if re.search(r"^ +fusible(: \w+)? = True", file.read_text(), re.MULTILINE)
]


def plan_of(file: Path, knobs: dict[str, Any], seed: int) -> Plan:
    """Fifty steps of the recipe in that file."""
    plan = blobs(seed=seed, lr=0.003 * (1 + seed), name="momentum")
    looks = Evaluate(every=50, limit=32)
    place = replace(plan.place, project=str(ROOT), recipe_file=str(file.relative_to(ROOT)))
    changed = replace(plan, place=place, evaluate=looks, data=Data(batch=8))
    return replace(changed, recipe=Recipe(file.stem, knobs))


@pytest.mark.parametrize(
    ("file", "knobs"),
    [
        pytest.param(file, knobs, id=f"{file.stem}{i}")
        for file in FOUND
        for i, knobs in enumerate(KNOBS.get(file.stem, [{}]))
    ],
)
def test_its_members_draw_the_curves_of_solo_runs(
    file: Path, knobs: dict[str, Any], tmp_path: Path
) -> None:
    plans = [plan_of(file, knobs, seed) for seed in range(2)]
    told = together(plans, tmp_path, size=2)
    assert [one.code for one in told] == [0, 0]
    for one, plan in zip(told, plans, strict=True):
        assert apart(one, by_itself(plan, tmp_path)) < 1e-9


def test_there_are_some() -> None:
    assert {"image", "spirals", "tiny"} <= {file.stem for file in FOUND}
