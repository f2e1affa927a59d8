"""Plans on many devices, for every layout there is, and what their checkpoints hold."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.trials import trial_plan
from turnaround.engine import layouts
from turnaround.spec import DEGREES, Data, Layout, Plan, Recipe, Update, from_dict

PARTS = {"tensor", "pipeline"}  # degrees that need a model of even parts and rows of one length


def exact(shelf: ModuleType, kind: str) -> Iterator[str]:
    """The names on a shelf whose class says that it is exact."""
    for module in pkgutil.iter_modules(shelf.__path__):
        found = importlib.import_module(f"{shelf.__name__}.{module.name}")
        made = getattr(found, kind, None)
        if made and made.exact and made.__module__ == found.__name__ and module.name != "base":
            yield module.name


LAYOUTS = list(exact(layouts, "Layout"))
QUICK = [  # the tensor layout loads torch's compiler: 10 s
    pytest.param(name, marks=pytest.mark.slow) if name == "tensor" else name for name in LAYOUTS
]
# Each layout on four devices, and each product of two of its degrees.
PRODUCTS: list[dict[str, Any]] = [
    {"name": name, degrees[0]: 4} for name, degrees in DEGREES.items() if name in LAYOUTS
]
PRODUCTS += [
    {"name": name, degrees[0]: 2, other: 2}
    for name, degrees in DEGREES.items()
    for other in degrees[1:]
]


def layout(name: str, devices: int = 2) -> Layout:
    """That layout's own degree on that many devices."""
    return from_dict(Layout, {"name": name, DEGREES[name][0]: devices})


def plan_for(name: str, **changes: Any) -> Plan:
    """A plan of forty steps for one device that the layout can spread."""
    plan = trial_plan(**{"data": Data(batch=12), "update": Update(accumulate=4)} | changes)
    if not PARTS & {*DEGREES[name]}:
        return plan
    place = replace(plan.place, recipe_file="recipes/tower.py")
    return replace(plan, recipe=Recipe("tower", {}), place=place)


def spelled(degrees: dict[str, Any]) -> str:
    """For the names of tests."""
    return " ".join(str(value) for pair in degrees.items() for value in pair if pair[0] != "name")


def saved(home: Path, step: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What a checkpoint holds: its tensors, and the rest."""
    folder = home / "runs" / "digits-22222" / "checkpoints" / f"step-{step:08d}"
    rest = json.loads((folder / "state.json").read_text())
    return load_file(folder / "tensors.safetensors"), rest


def same_content(one: Path, two: Path, step: int, tolerance: float = 1e-9) -> None:
    """Two runs saved the same at that step, but for rounding."""
    (tensors, rest), (others, other_rest) = saved(one, step), saved(two, step)
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert tensor.shape == others[name].shape, name
        torch.testing.assert_close(others[name], tensor, rtol=tolerance, atol=tolerance, msg=name)
    for state in (rest, other_rest):
        state["progress"].pop("seconds")
        for split in ("valid", "best", "noise"):
            state["progress"].pop(split, None)
    assert other_rest == rest


slow = pytest.mark.slow
