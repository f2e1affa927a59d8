from __future__ import annotations

import itertools
import os
import zlib
from dataclasses import replace
from math import factorial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.spread import layout
from tests.engine.test_equal import agree
from tests.engine.trials import Gang, train
from tests.recipes.small import ROOT, shipped
from turnaround.corpora import rankings
from turnaround.engine.recipe import load
from turnaround.errors import DataError
from turnaround.nn.lists import ndcg
from turnaround.spec import Checkpoint, Plan

FILE = ROOT / "recipes" / "rank.py"
SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data"))
REAL = SHARED / "ranking"
TINY = ("recipe.queries=40", "recipe.rows=512", "data.batch=12", "budget.steps=2")
LOG = "query\tclick\tprice\tshop\n" + "".join(
    f"q{i // 4}\t{int(i % 4 == 1)}\t{i % 4 / 2}\t{'red' if i % 4 == 1 else 'blue'}\n"
    for i in range(80)
)


def made(plan: Plan, cache: Path) -> Any:
    return load(FILE, plan, cache)


def whole(file: Path) -> list[str]:
    return [f"data.{split}={file}" for split in ("train", "valid", "test")]


def stirred(recipe: Any) -> Any:
    """The recipe's model, as if it had learnt something."""
    model = recipe.model().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("loss", ["pointwise", "pairwise", "listwise", "lambda"])
def test_two_steps_run(tmp_path: Path, loss: str) -> None:
    told = train(shipped("recipe=rank", *TINY, f"recipe.loss={loss}", "recipe.width=2"), tmp_path)
    assert told.code == 0, told.of("error")
    assert 0.5 < told.one("summary")["values"]["test/ndcg"] <= 1
    samples = told.one("samples")
    assert samples["columns"] == ["query", "label", "score"]
    assert len(samples["rows"]) == 8


def test_the_rule_is_learnt(tmp_path: Path) -> None:
    words = ("recipe.queries=300", "budget.steps=60", "evaluate.every=60", "recipe.rows=4096")
    told = train(shipped("recipe=rank", *words), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/ndcg"] > 0.9


@pytest.mark.parametrize("words", [(), ("optim.clip=0.5", "update.accumulate=2")], ids=str)
def test_touching_rows_alone_learns_what_touching_all_does(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    plan = shipped("recipe=rank", *TINY, "recipe.width=2", "budget.steps=8", *words)
    knobs = {**plan.recipe.knobs, "sparse": False}
    dense = replace(plan, recipe=replace(plan.recipe, knobs=knobs))
    some, every = train(plan, tmp_path / "some"), train(dense, tmp_path / "every")
    assert some.code == 0, some.of("error")
    assert some.curve() == pytest.approx(every.curve(), rel=1e-5)
    assert some.curve("norm") == pytest.approx(every.curve("norm"), rel=1e-5)
    ends = (told.one("summary")["values"]["test/loss"] for told in (some, every))
    assert next(ends) == pytest.approx(next(ends), rel=1e-5)


def test_n_steps_and_n_more_are_two_n_steps_bit_for_bit(tmp_path: Path) -> None:
    words = ("recipe.dropout=0.3", "budget.steps=8")
    plan = replace(shipped("recipe=rank", *TINY, *words), checkpoint=Checkpoint(every=4))
    alone = train(plan, tmp_path / "whole")
    first = train(replace(plan, budget=replace(plan.budget, steps=4)), tmp_path / "halves")
    second = train(plan, tmp_path / "halves", attempt=2)
    assert {**first.curve(), **second.curve()} == alone.curve()
    assert second.one("summary")["values"] == alone.one("summary")["values"]


@pytest.mark.slow
def test_two_devices_that_touch_rows_alone_draw_the_curve_of_one(tmp_path: Path) -> None:
    words = ("budget.steps=40", "evaluate.every=20", "evaluate.limit=8", "precision=fp64")
    plan = shipped("recipe=rank", *TINY, *words)
    two, *_ = Gang(replace(plan, layout=layout("ddp")), tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


# ── why ──


@pytest.mark.parametrize("width", [0, 3])
def test_parts_add_up_to_the_score(tmp_path: Path, width: int) -> None:
    recipe = made(shipped("recipe=rank", *TINY, f"recipe.width={width}"), tmp_path)
    model, examples = stirred(recipe), list(recipe.data("test")[:5])
    batch = recipe.collate(examples)
    with torch.no_grad():
        scores = model(*recipe.inputs(batch))[batch.there]
        parts = recipe.parts(model, examples)
    assert parts.shape == (len(scores), 6)  # five numbers and a word
    torch.testing.assert_close(parts.sum(1), scores)


def test_parts_are_shapley_values_of_the_features(tmp_path: Path) -> None:
    recipe = made(shipped("recipe=rank", *TINY, "recipe.width=3"), tmp_path)
    model, (example,) = stirred(recipe), recipe.data("test")[:1]
    with torch.no_grad():
        parts = recipe.parts(model, [example])[0]
        batch = recipe.collate([example])
        numbers, words = batch.numbers[0, 0], batch.words[0, 0]
        bins = (numbers[:, None] >= model.edges).sum(1).add(1).where(numbers != 0, 0)
        table = model.table.weight[torch.cat([model.seats[torch.arange(5), bins], words])]
        straight = (numbers - model.mean) / model.spread * model.slope
        single = table[:, 0] + torch.nn.functional.pad(straight, (0, 1))

        def worth(chosen: tuple[int, ...]) -> float:
            pairs = (table[i, 1:] @ table[j, 1:] for i, j in itertools.combinations(chosen, 2))
            return float(sum(pairs, single[list(chosen)].sum()))

        for feature in range(6):
            others = [i for i in range(6) if i != feature]
            value = 0.0
            for size in range(6):
                weight = factorial(size) * factorial(5 - size) / factorial(6)
                for chosen in itertools.combinations(others, size):
                    value += weight * (worth((*chosen, feature)) - worth(chosen))
            assert parts[feature].item() == pytest.approx(value, abs=1e-4)


def test_a_document_is_answered_with_its_score_and_its_parts(tmp_path: Path) -> None:
    recipe = made(shipped("recipe=rank", *TINY), tmp_path)
    model = stirred(recipe)
    with torch.no_grad():
        model.table.weight[zlib.crc32(b"source shop") % 512] = 9.0
        told = recipe.answer(model, "match=0.9 source=shop fresh=0.5")
        assert recipe.answer(model, "colour=red").startswith("no feature colour")
    score, _, parts = told.partition(" = ")
    assert parts.startswith("source=shop +9.00 ")
    assert float(score) == pytest.approx(sum(map(float, parts.split()[1::2])), abs=0.05)


# ── files ──


def test_a_click_log_is_learnt(tmp_path: Path) -> None:
    file = tmp_path / "clicks.tsv"
    file.write_text(LOG)
    words = (*whole(file), "data.batch=10", "budget.steps=30", "recipe.loss=pointwise")
    told = train(shipped("recipe=rank", *words), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/ndcg"] == 1
    assert "shop=red" in told.one("samples")["rows"][0][2]


def test_words_alone_are_learnt(tmp_path: Path) -> None:
    file = tmp_path / "clicks.tsv"
    rows = (line.split("\t") for line in LOG.splitlines())
    file.write_text("".join(f"{query}\t{click}\t{shop}\n" for query, click, _, shop in rows))
    words = (*whole(file), "data.batch=10", "budget.steps=30", "recipe.loss=pointwise")
    told = train(shipped("recipe=rank", *words, "recipe.width=2"), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/ndcg"] == 1


def test_queries_of_one_file_are_in_one_split_each(tmp_path: Path) -> None:
    file = tmp_path / "clicks.tsv"
    file.write_text(LOG)
    recipe = made(shipped("recipe=rank", f"data.path={file}"), tmp_path)
    queries = [{g.query for g in recipe.rankings.split(s)} for s in ("train", "valid", "test")]
    assert sum(len(part) for part in queries) == len(set.union(*queries)) == 20


def test_bad_rows_are_refused_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "rank.train"
    file.write_text("0 1:0.5\n1 1:high\n")
    told = train(shipped("recipe=rank", *whole(file)), tmp_path)
    assert told.code == DataError.exit_code
    message = told.one("error")["message"]
    assert message == f"{file}, line 2: expected feature:value, found '1:high'"


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_comes_near_the_rule(tmp_path: Path) -> None:
    plan = shipped("recipe=rank")
    told = train(plan, tmp_path)
    assert told.code == 0, told.of("error")
    recipe = made(plan, tmp_path)
    batch = recipe.collate(list(recipe.data("test")))
    rules = [rankings.rule(g.numbers, g.words) for g in recipe.rankings.split("test")]
    scores = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(r) for r in rules], True)
    best = ndcg(scores, batch.labels.double(), batch.there, 10).mean().item()
    assert best - 0.01 < told.one("summary")["values"]["test/ndcg"] < best + 0.005


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sample_of_lightgbm_is_ranked(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no rank.train in {REAL}")
    files = {"train": "rank.train", "valid": "rank.train", "test": "rank.test"}
    words = [f"data.{split}={REAL / name}" for split, name in files.items()]
    told = train(shipped("experiment=ranking", *words), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/ndcg"] > 0.7


def test_an_optimizer_that_takes_no_sparse_gradients_is_refused(tmp_path: Path) -> None:
    told = train(shipped("recipe=rank", *TINY, "optim=adam"), tmp_path)
    assert told.code == 2
    assert told.one("error")["message"] == "optim=adam does not take the sparse gradients of table"
    dense = train(
        shipped("recipe=rank", *TINY, "optim=adam", "recipe.sparse=false"), tmp_path / "2"
    )
    assert dense.code == 0, dense.of("error")


def test_weight_decay_of_sparse_gradients_is_refused(tmp_path: Path) -> None:
    decayed = (*TINY, "optim=adagrad", "optim.weight_decay=0.1")
    told = train(shipped("recipe=rank", *decayed), tmp_path)
    assert told.code == 2
    message = "optim.weight_decay does not go with sparse gradients"
    assert told.one("error")["message"] == message
    dense = train(shipped("recipe=rank", *decayed, "recipe.sparse=false"), tmp_path / "2")
    assert dense.code == 0, dense.of("error")
