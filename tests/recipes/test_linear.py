from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine  # type: ignore[import-untyped]  # no types
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no types
from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]  # no types

from tests.engine.trials import Told, train
from tests.recipes.small import ROOT, shipped
from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.recipe import load
from turnaround.errors import DataError
from turnaround.spec import Plan

FILE = ROOT / "recipes" / "linear.py"


def made(plan: Plan, cache: Path) -> Any:
    return load(FILE, plan, cache)


def learnt(home: Path) -> dict[str, torch.Tensor]:
    (run,) = (home / "runs").iterdir()
    checkpoints = Checkpoints(run / "checkpoints", keep=1, warn=print)
    name = checkpoints.best()
    assert name is not None
    weights: dict[str, torch.Tensor] = checkpoints.load(name)["model"]
    return weights


def distance(home: Path, values: np.ndarray, classes: np.ndarray, c: float = 1.0) -> float:
    """The largest difference of any coefficient from scikit-learn's."""
    theirs = LogisticRegression(C=c, tol=1e-9, max_iter=10_000).fit(values, classes)
    ours = learnt(home)
    weights = ours["out.weight"].double().numpy() - theirs.coef_
    biases = ours["out.bias"].double().numpy() - theirs.intercept_
    if len(biases) > 1:
        biases = biases - biases.mean()  # what all classes have in common changes nothing
    return float(max(np.abs(weights).max(), np.abs(biases).max()))


def csv(file: Path, values: np.ndarray, labels: list[str]) -> Path:
    head = ",".join(f"f{i}" for i in range(values.shape[1]))
    rows = (
        f"{','.join(map(repr, row.tolist()))},{label}"
        for row, label in zip(values, labels, strict=True)
    )
    file.write_text("\n".join([f"{head},kind", *rows, ""]))
    return file


def whole(file: Path) -> list[str]:
    return [f"data.{split}={file}" for split in ("train", "valid", "test")]


PLAIN = "optim=momentum optim.lr=1 budget.steps=200 evaluate.every=200"


@pytest.mark.parametrize(("c", "words"), [(1.0, ""), (0.1, ""), (1.0, PLAIN)])
def test_it_converges_to_the_coefficients_of_scikit_learn(
    tmp_path: Path, c: float, words: str
) -> None:
    plan = shipped("recipe=linear", f"recipe.c={c}", *words.split())
    told = train(plan, tmp_path)
    assert told.code == 0, told.of("error")
    values, classes = made(plan, tmp_path).rows("train")
    standard = StandardScaler().fit_transform(values.double().numpy())
    assert distance(tmp_path, standard, classes.numpy(), c) < 1e-3
    assert told.one("summary")["values"]["test/loss"] < 0.41


def test_as_it_stands_where_features_are_not_to_be_standardized(tmp_path: Path) -> None:
    plan = shipped("recipe=linear", "recipe.standardize=false")
    assert train(plan, tmp_path).code == 0
    values, classes = made(plan, tmp_path).rows("train")
    assert distance(tmp_path, values.double().numpy(), classes.numpy()) < 1e-3


@pytest.mark.parametrize("corpus", [load_iris, load_wine])
def test_three_classes_from_a_csv_file(tmp_path: Path, corpus: Any) -> None:
    values, classes = corpus(return_X_y=True)
    file = csv(tmp_path / "rows.csv", values, [f"kind {i}" for i in classes])
    words = [*whole(file), f"data.batch={len(classes)}", "budget.steps=10"]
    told = train(shipped("recipe=linear", *words, "evaluate.every=10"), tmp_path)
    assert told.code == 0, told.of("error")
    assert distance(tmp_path, StandardScaler().fit_transform(values), classes) < 1e-3
    samples = told.one("samples")
    assert samples["columns"] == ["feature", *(f"towards kind {i}" for i in range(3))]
    assert {row[0] for row in samples["rows"]} == {f"f{i}" for i in range(values.shape[1])}


def test_every_step_sees_all_rows_however_many_there_are(tmp_path: Path) -> None:
    values, classes = load_iris(return_X_y=True)
    file = csv(tmp_path / "rows.csv", values, [f"kind {i}" for i in classes])
    fewer, more = tmp_path / "fewer", tmp_path / "more"  # than are computed at a time
    for home, size in ((fewer, []), (more, ["data.whole=true", "data.batch=64"])):
        words = [*whole(file), *size, "budget.steps=10", "evaluate.every=10"]
        told = train(shipped("recipe=linear", *words), home)
        assert told.code == 0, told.of("error")
        assert told.of("summary")[0]["examples"] == 10 * len(values)
        assert distance(home, StandardScaler().fit_transform(values), classes) < 1e-3


def test_a_libsvm_file_gives_what_the_same_csv_file_gives(tmp_path: Path) -> None:
    values, classes = load_iris(return_X_y=True)
    values, classes = values[:100], classes[:100]
    sparse = tmp_path / "rows.svm"
    rows = [
        f"{label} " + " ".join(f"{i}:{value}" for i, value in enumerate(row) if value)
        for row, label in zip(values, classes, strict=True)
    ]
    sparse.write_text("\n".join(rows))
    one, other = (
        made(shipped("recipe=linear", *whole(file), "data.batch=100"), tmp_path)
        for file in (sparse, csv(tmp_path / "rows.csv", values, [str(i) for i in classes]))
    )
    for split in ("train", "test"):
        for mine, theirs in zip(one.rows(split), other.rows(split), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    train, valid, test = (tmp_path / f"{split}.csv" for split in ("train", "valid", "test"))
    train.write_text("a,b,kind\n1,2,x\n3,4,y\n")
    valid.write_text("kind,id,b,a\nx,first,2,1\ny,second,4,3\n")
    test.write_text("a,c,kind\n1,2,x\n")
    files = f"data.train={train}", f"data.valid={valid}", f"data.test={test}"
    recipe = made(shipped("recipe=linear", *files, "data.batch=2"), tmp_path)
    for mine, theirs in zip(recipe.rows("train"), recipe.rows("valid"), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(DataError) as caught:
        recipe.rows("test")
    assert caught.value.message == f"{test}, line 1: no column b"


def test_one_file_is_cut_in_three(tmp_path: Path) -> None:
    values, classes = load_iris(return_X_y=True)
    file = csv(tmp_path / "rows.csv", values, [str(i) for i in classes])
    recipe = made(shipped("recipe=linear", f"data.path={file}", "data.batch=32"), tmp_path)
    sizes = [len(recipe.data(split)) for split in ("train", "valid", "test")]
    assert sum(sizes) == len(values)
    assert min(sizes) > 5


def test_a_line_is_answered_with_a_class_and_its_probability(tmp_path: Path) -> None:
    recipe = made(shipped("recipe=linear", "recipe.features=2"), tmp_path)
    model = recipe.model().eval()
    torch.nn.init.constant_(model.out.weight, 5.0)
    assert recipe.answer(model, "3.0, 2") == "1 (1.000)"
    for line in ("3.0", "three two", ""):
        with pytest.raises(DataError, match="is no row of 2 numbers") as caught:
            recipe.answer(model, line)
        assert caught.value.hint == "write x0, x1"
    assert recipe.answer(model, "-3 -2") == "0 (1.000)"


# ── what cannot be ──


def refused(tmp_path: Path, content: str, *words: str) -> dict[str, Any]:
    file = tmp_path / "rows.csv"
    file.write_text(content)
    told: Told = train(shipped("recipe=linear", *whole(file), "data.batch=2", *words), tmp_path)
    assert told.code == DataError.exit_code
    error = told.one("error")
    return error | {"message": error["message"].replace(f"{file}", "rows.csv")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,x\nfour,y\n", "rows.csv, line 3: expected a number in column a, found 'four'"),
        ("a,b\n1,x\n2\n", "rows.csv, line 3: expected 2 cells, found 1"),
        ("1 3:0.5\n0 3:high\n", "rows.csv, line 2: expected feature:value, found '3:high'"),
        ("a,b\n1,x\n2,x\n", "every label is 'x'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str, message: str) -> None:
    assert refused(tmp_path, content)["message"] == message


def test_a_batch_of_more_than_there_is_says_what_to_write(tmp_path: Path) -> None:
    error = refused(tmp_path, "a,b\n1,x\n2,y\n3,x\n", "data.batch=1000")
    assert error["hint"] == "data.batch=all shows every step all of them"
