from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.trials import train
from tests.recipes.small import ROOT, SMALL, shipped
from turnaround import config
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError
from turnaround.spec import Data

FILE = ROOT / "recipes" / "pointer.py"
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "tsp"
TASKS = ["tsp", "hull", "delaunay"]
each = pytest.mark.parametrize("task", TASKS)


def recipe(cache: Path, task: str, *words: str) -> Any:
    """The small one, of problems of 4 to 7 points."""
    more = f"recipe.task={task}", "recipe.points=7", "recipe.fewest=4"
    return load(FILE, SMALL["pointer"].plan("pointer", *more, *words), cache)


@each
def test_two_steps_of_every_task_run(tmp_path: Path, task: str) -> None:
    words = f"recipe.task={task}", "recipe.fewest=4", "budget.steps=2", "evaluate.limit=8"
    told = train(SMALL["pointer"].plan("pointer", *words), tmp_path)
    assert told.code == 0, told.of("error")
    names = {"tsp": "ratio", "hull": "area", "delaunay": "triangles"}
    assert {"test/exact", f"test/{names[task]}"} <= set(told.one("summary")["values"])


@each
def test_the_right_answers_keep_the_rules_and_are_judged_right(tmp_path: Path, task: str) -> None:
    made = recipe(tmp_path, task)
    batch = made.collate(list(made.data("valid")[:16]))
    scores = made.task.judge(batch.problems, batch.answers, batch.answers)
    assert scores["exact"] == (16, 16)
    logits = made.model().double()(*made.inputs(batch))
    right = batch.target != -1
    followed = logits[right].gather(1, batch.target[right].unsqueeze(1))
    assert followed.isfinite().all()  # no rule forbids a right answer


@each
@pytest.mark.parametrize("beam", [1, 3])
def test_every_answer_keeps_the_rules(tmp_path: Path, task: str, beam: int) -> None:
    made = recipe(tmp_path, task, f"recipe.beam={beam}")
    torch.manual_seed(0)
    batch = made.collate(list(made.data("valid")[:24]))
    for answer, problem in zip(made.found(made.model(), batch), batch.problems, strict=True):
        size = len(problem.points)
        assert len(answer) >= 3
        assert set(answer.tolist()) <= set(range(size))
        if task == "delaunay":
            assert (np.diff(answer.reshape(-1, 3), axis=1) > 0).all()
        else:
            assert len(set(answer.tolist())) == len(answer)
        if task == "tsp":
            assert len(answer) == size
            assert answer[0] == 0


@each
def test_an_example_counts_the_same_beside_larger_ones(tmp_path: Path, task: str) -> None:
    made = recipe(tmp_path, task)
    model = made.model().double()
    problems = sorted(made.data("valid")[:12], key=lambda problem: len(problem.points))
    batches = [made.collate([problem]) for problem in problems]
    alone = sum(made.loss(model(*made.inputs(batch)), batch).sum.item() for batch in batches)
    batch = made.collate(problems)
    assert made.loss(model(*made.inputs(batch)), batch).sum.item() == pytest.approx(alone)


def test_what_beam_search_promises_is_what_the_model_says(tmp_path: Path) -> None:
    made = recipe(tmp_path, "tsp", "recipe.beam=8")
    model = made.model().double().eval()
    batch = made.collate(list(made.data("valid")[:8]))
    found = made.found(model, batch)
    told = replace(batch, target=batch.target.clone())
    for row, answer in zip(told.target, found, strict=True):
        row[: len(answer)] = torch.from_numpy(answer + 1)
    as_found = made.loss(model(*made.inputs(told)), told).sum
    as_right = made.loss(model(*made.inputs(batch)), batch).sum
    assert as_found <= as_right  # no answer that is likelier was passed over


def test_training_never_repeats_and_what_judges_it_never_changes(tmp_path: Path) -> None:
    made = recipe(tmp_path, "tsp")
    torch.manual_seed(1)
    train_split = made.data("train")
    torch.manual_seed(2)
    other = made.data("train")
    assert np.array_equal(train_split[5].points, train_split[5].points)
    assert not np.array_equal(train_split[5].points, other[5].points)
    seen = {problem.points.tobytes() for problem in train_split[:200]}
    assert len(seen) == 200
    assert np.array_equal(made.data("test")[3].points, made.data("test")[3].points)
    assert len(made.data("valid")) == 40


def test_an_answer_to_typed_points(tmp_path: Path) -> None:
    made = recipe(tmp_path, "tsp")
    told = made.answer(made.model().eval(), "0,0 10,0 10,10 0,10")
    assert told.split(":")[0] in {"40", "48.2843"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe.points=2"], "recipe.points=2"),
        (["recipe.fewest=6", "recipe.points=5"], "recipe.fewest=6"),
        (["recipe.points=15"], "no shortest tour of so many"),
    ],
)
def test_knobs_that_cannot_be_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(FILE, SMALL["pointer"].plan("pointer", *words), tmp_path)


def test_a_task_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.task=hulls"):
        config.compose(["recipe=pointer", "recipe.task=hulls"], tmp_path)


def test_files_to_train_on_are_refused(tmp_path: Path) -> None:
    made = load(FILE, replace(SMALL["pointer"].plan("pointer"), data=Data(train="a.tsp")), tmp_path)
    with pytest.raises(ConfigError, match="draws the points"):
        made.data("train")


def test_a_bad_line_of_a_file_is_told_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "bad.tsp"
    file.write_text("DIMENSION: 3\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 x 1\n")
    told = train(SMALL["pointer"].plan("pointer", f"data.test={file}", "budget.steps=1"), tmp_path)
    assert told.code == 2
    assert told.one("error")["message"].startswith(f"{file}, line 5: expected point 2")


def test_a_published_problem_is_answered(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no TSPLIB problems in {REAL}")
    words = f"data.test={REAL / 'eil51.tsp'}", "budget.steps=2", "evaluate.limit=8"
    told = train(SMALL["pointer"].plan("pointer", *words), tmp_path)
    assert told.code == 0, told.of("error")
    values, ((size, mine, good),) = told.one("summary")["values"], told.one("samples")["rows"]
    assert size == "51"
    assert good.startswith("429: 1 ")
    assert sorted(map(int, mine.split(": ")[1].split())) == list(range(1, 52))
    assert values["test/ratio"] == pytest.approx(values["test/length"] / 429)
    made = recipe(tmp_path, "tsp")
    assert ": 1 " in made.answer(made.model().eval(), str(REAL / "burma14.tsp"))


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_makes_tours_nearly_as_short_as_can_be(tmp_path: Path) -> None:
    values = train(shipped("recipe=pointer"), tmp_path).one("summary")["values"]
    assert 1 <= values["test/ratio"] < 1.02
    assert values["test/length"] == pytest.approx(2.13, abs=0.05)
