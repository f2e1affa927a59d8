"""What one layout saves, any other continues from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.spread import LAYOUTS, PRODUCTS, layout, plan_for, same_content, spelled
from tests.engine.trials import Gang, Told, train
from turnaround.spec import Budget, Checkpoint, Data, Layout, Optim, Plan

HALF, END = 20, 40
ADAM = {"precision": "fp64", "optim": Optim("adam", lr=0.01, clip=0.1)}


def saving(name: str) -> Plan:
    """A plan for one device that saves in the middle and at the end, for four readers at most."""
    kept = Checkpoint(every=HALF, keep=2)
    return plan_for(name, data=Data(batch=16), checkpoint=kept, **ADAM)


def halfway(whole: Path, home: Path) -> Path:
    """A home like `whole` was when its run had been at half of its steps."""
    shutil.copytree(whole, home)
    for folder in home.glob("runs/*/checkpoints/*"):
        if int(folder.name[-8:]) > HALF:
            shutil.rmtree(folder)
    return home


def ends_alike(one: Told, two: Told) -> None:
    """`two` went on from the middle and drew the rest of the curve of `one`."""
    assert two.code == 0, two.of("error")
    rest = {step: loss for step, loss in one.curve().items() if step > HALF}
    assert two.curve() == pytest.approx(rest, rel=1e-9)
    assert two.one("summary")["values"] == pytest.approx(one.one("summary")["values"], rel=1e-9)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_saves_what_one_device_saves_and_goes_on_from_it(
    name: str, tmp_path: Path
) -> None:
    plan = saving(name)
    spread = replace(plan, layout=layout(name))
    one = train(plan, tmp_path / "one")
    Gang(replace(spread, budget=Budget(steps=HALF)), tmp_path / "two").wait()
    same_content(tmp_path / "one", tmp_path / "two", HALF)
    two, *_ = Gang(spread, halfway(tmp_path / "one", tmp_path / "on"), attempt=2).wait()
    ends_alike(one, two)
    same_content(tmp_path / "one", tmp_path / "on", END)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("product", PRODUCTS, ids=spelled)
def test_every_layout_goes_on_from_what_every_other_saved(
    product: dict[str, Any], tmp_path: Path
) -> None:
    plan = saving("tensor")  # whose recipe every layout can spread
    one = train(plan, tmp_path / "one")
    first = replace(plan, layout=Layout(**product), budget=Budget(steps=HALF))
    told, *_ = Gang(first, tmp_path / "saved").wait()
    assert told.code == 0, told.of("error")
    same_content(tmp_path / "one", tmp_path / "saved", HALF)
    for other in [Layout(), *(Layout(**p) for p in PRODUCTS)]:
        home = tmp_path / f"{other.name}-{other.devices}-{other.readers}"
        shutil.copytree(tmp_path / "saved", home)
        two, *_ = Gang(replace(plan, layout=other), home, attempt=2).wait()
        ends_alike(one, two)
        same_content(tmp_path / "one", home, END)
        shutil.rmtree(home)
