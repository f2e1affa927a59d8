"""What every recipe on the shelf must do, whatever it is about; its own test says the rest."""

from __future__ import annotations

import ast
import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.spread import slow
from tests.engine.test_equal import agree
from tests.engine.test_resume import joined
from tests.engine.trials import Gang, train
from tests.recipes.small import ROOT, SMALL
from turnaround.engine import precision, preflight
from turnaround.engine.layouts import base
from turnaround.engine.recipe import load
from turnaround.spec import Budget, Layout

RECIPES = sorted(file.stem for file in (ROOT / "recipes").glob("*.py"))
STEADY = ("optim.schedule=constant", "optim.warmup=0")  # whatever the budget
QUIET = ("evaluate.score=loss", "evaluate.limit=8")
SPREAD = [(name, on) for name, small in SMALL.items() for on in small.layouts]

MEDIAN, LONGEST = 150, 250  # lines of a recipe

each = pytest.mark.parametrize("name", SMALL)


def test_every_recipe_has_its_small_words() -> None:
    missing = [name for name in RECIPES if name not in SMALL]
    assert not missing, f"add an entry to SMALL in tests/recipes/small.py: {', '.join(missing)}"


@each
def test_two_steps_run(name: str, tmp_path: Path) -> None:
    told = train(SMALL[name].plan(name, "budget.steps=2", "evaluate.limit=8"), tmp_path)
    assert told.code == 0, told.of("error")
    summary, samples = told.one("summary"), told.one("samples")
    assert summary["steps"] == 2
    assert all(math.isfinite(loss) for loss in told.curve().values())
    assert math.isfinite(summary["values"]["test/loss"])
    assert samples["columns"]
    assert samples["rows"]


@each
def test_a_look_at_it_tells_its_size_and_its_scores(name: str, tmp_path: Path) -> None:
    plan = SMALL[name].plan(name, "budget.steps=1")
    file = ROOT / "recipes" / f"{name}.py"
    with precision.named(plan.precision).parameters():
        fit = preflight.look(plan, lambda: load(file, plan, tmp_path), base.Layout)
    assert fit.parameters > 0
    assert {"loss", plan.evaluate.score} <= {*fit.scores}


@slow
@each
def test_eight_examples_are_learnt_by_heart(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = SMALL[name]
    target = ("budget.steps=600", "evaluate.every=20", f"budget.target={small.bound}")
    words = (*STEADY, "data.batch=8", "data.bucket=1", *small.heart.split(), *QUIET, *target)
    monkeypatch.setattr("turnaround.worker.assembly.load", forgetful)
    told = train(small.plan(name, *words), tmp_path)
    assert told.code == 0, told.of("error")
    assert min(told.curve("loss", "valid").values()) <= small.bound


def forgetful(*args: Any) -> Any:
    """The recipe, with the first eight of its training examples for every split."""
    made: Any = load(*args)
    eight = list(made.data("train")[:8])
    made.data = lambda split: eight
    return made


@slow
@each
def test_n_steps_and_n_more_are_two_n_steps_bit_for_bit(name: str, tmp_path: Path) -> None:
    words = (*STEADY, *QUIET, "budget.steps=8", "evaluate.every=4")
    plan = SMALL[name].plan(name, *words)
    whole = train(plan, tmp_path / "whole")
    first = train(replace(plan, budget=Budget(steps=4)), tmp_path / "halves")
    second = train(plan, tmp_path / "halves", attempt=2)
    assert (whole.code, first.code, second.code) == (0, 0, 0), whole.of("error")
    assert min(second.curve()) == 5
    assert joined(first, second) == whole.curve()
    assert second.one("summary")["values"] == whole.one("summary")["values"]


@slow
@pytest.mark.parametrize(("name", "on"), SPREAD, ids=[f"{name} {on.name}" for name, on in SPREAD])
def test_two_devices_draw_the_curve_of_one(name: str, on: Layout, tmp_path: Path) -> None:
    small = SMALL[name]
    words = (*STEADY, *small.equal.split(), *QUIET, "precision=fp64", "budget.steps=40")
    accumulate = 2 if on.pipeline else 1  # else nothing fills the stages
    plan = small.plan(name, *words, "evaluate.every=20", f"update.accumulate={accumulate}")
    two, *_ = Gang(replace(plan, layout=on), tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, small.tolerance)


# ── the shelf as a whole ──


def test_recipes_are_short() -> None:
    lines = {n: len((ROOT / "recipes" / f"{n}.py").read_text().splitlines()) for n in RECIPES}
    assert not {name: count for name, count in lines.items() if count > LONGEST}
    assert statistics.median(lines.values()) <= MEDIAN, lines


def test_the_engine_names_no_recipe() -> None:
    for file in sorted((ROOT / "turnaround" / "engine").rglob("*.py")):
        for line, word in said(ast.parse(file.read_text(encoding="utf-8"))):
            where = f"{file.relative_to(ROOT)}, line {line}"
            assert word.split(".")[0] != "recipes", f"{where} reaches for {word}"
            assert not word.endswith("recipe.name"), f"{where} asks for the recipe's name"


def said(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a module imports, and the dotted names it uses, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, ast.unparse(node)
