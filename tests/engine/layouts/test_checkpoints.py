"""What one layout saves, any other continues from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.spread import PRODUCTS, QUICK, layout, plan_for, same_content, spelled
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


def saves_and_goes_on(plan: Plan, spread: Layout, folder: Path) -> None:
    """What one device saves and what `spread` does are the same, and it continues from either."""
    one = train(plan, folder / "one")
    many = replace(plan, layout=spread)
    Gang(replace(many, budget=Budget(steps=HALF)), folder / "two").wait()
    same_content(folder / "one", folder / "two", HALF)
    two, *_ = Gang(many, halfway(folder / "one", folder / "on"), attempt=2).wait()
    ends_alike(one, two)
    same_content(folder / "one", folder / "on", END)


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_layout_saves_what_one_device_saves_and_goes_on_from_it(
    name: str, tmp_path: Path
) -> None:
    saves_and_goes_on(saving(name), layout(name), tmp_path)


# All saves are equal to that of one device, and so to each other: each loads one of them.
@pytest.mark.slow
@pytest.mark.parametrize("product", PRODUCTS, ids=spelled)
def test_four_devices_save_what_one_saves_and_go_on_from_it(
    product: dict[str, Any], tmp_path: Path
) -> None:
    saves_and_goes_on(saving(product["name"]), Layout(**product), tmp_path)
