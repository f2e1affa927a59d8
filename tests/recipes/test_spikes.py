from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.spread import layout
from tests.engine.test_equal import agree
from tests.engine.trials import Gang, Told, train
from tests.recipes.small import ROOT, shipped
from turnaround.corpora import spikes
from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError
from turnaround.nn.energies import counts
from turnaround.spec import Plan

FILE = ROOT / "recipes" / "spikes.py"
SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data"))
REAL = SHARED / "spikes" / "example15.npz"
TINY = ("recipe.cells=5", "recipe.bins=4000", "data.batch=16", "budget.steps=2")
SAMPLED = ("recipe.exact=0", "recipe.samples=500")


def made(plan: Plan, cache: Path) -> Any:
    return load(FILE, plan, cache)


def whole(file: Path) -> list[str]:
    return [f"data.{split}={file}" for split in ("train", "valid", "test")]


def learnt(plan: Plan, home: Path) -> Any:
    """The recipe's model with the parameters that the run found, to be judged."""
    (run,) = (home / "runs").iterdir()
    checkpoints = Checkpoints(run / "checkpoints", keep=1, warn=print)
    model = made(plan, home).model().eval()
    model.load_state_dict(checkpoints.load(str(checkpoints.best()))["model"])
    return model


@pytest.mark.parametrize("terms", ["independent", "pairwise", "k-pairwise"])
@pytest.mark.parametrize("how", [(), SAMPLED], ids=["counted", "sampled"])
def test_two_steps_run(tmp_path: Path, terms: str, how: tuple[str, ...]) -> None:
    told = train(shipped("recipe=spikes", *TINY, *how, f"recipe.terms={terms}"), tmp_path)
    assert told.code == 0, told.of("error")
    values = told.one("summary")["values"]
    assert values["test/bits"] == pytest.approx(values["test/loss"] / math.log(2), rel=1e-3)
    assert {"test/gain", "test/entropy", "test/information", "test/p_k"} <= set(values)
    assert {"test/triplets", "test/excess"} <= set(values)
    samples = told.one("samples")
    assert samples["columns"] == ["mode", "share of bins", "bits"]
    assert samples["rows"][0][0] == "00000"


def test_what_is_learnt_has_the_moments_of_the_words_and_is_near_their_law(
    tmp_path: Path,
) -> None:
    words = ("recipe.cells=6", "recipe.bins=40_000", "data.batch=160", "budget.steps=4")
    plan = shipped("recipe=spikes", *words, "evaluate.every=4")
    told = train(plan, tmp_path)
    assert told.code == 0, told.of("error")
    recipe = made(plan, tmp_path)
    batch = recipe.collate(recipe.data("train"))
    by_count, _ = counts(batch.words.double(), batch.times.double())
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            model = learnt(plan, tmp_path)
            population, shares = model.population
            _, expected, _ = model.moments
    finally:
        torch.set_default_dtype(torch.float32)
    rates = batch.times.double() @ batch.words.double() / batch.times.sum()
    torch.testing.assert_close(shares @ population, rates, atol=1e-6, rtol=0)
    torch.testing.assert_close(expected, by_count / batch.times.sum(), atol=1e-6, rtol=0)
    law = torch.from_numpy(recipe.trains.law)
    apart = float((law.exp() * (law - shares.log())).sum()) / math.log(2)
    free = 6 + 15 + 4
    assert 0 < apart < 3 * free / (2 * 40_000 * math.log(2))  # its expectation, and some more
    assert told.one("summary")["values"]["test/excess"] < 0.003


@pytest.mark.parametrize("on", ["ddp", "fsdp"])
@pytest.mark.slow
def test_two_devices_sample_what_one_does(tmp_path: Path, on: str) -> None:
    words = (*TINY, *SAMPLED, "optim=sgd", "optim.lr=0.5", "budget.steps=40")
    plan = shipped("recipe=spikes", *words, "evaluate.every=20", "evaluate.limit=8")
    two, *_ = Gang(replace(plan, layout=layout(on)), tmp_path / "two").wait()
    agree(train(plan, tmp_path / "one"), two, 1e-9)


def test_one_file_is_cut_by_stretches_of_time(tmp_path: Path) -> None:
    file = tmp_path / "spikes.npz"
    words = spikes.drawn(spikes.common(4), 2000, seed=0)
    words[:100] = 1  # the first stretch
    words[900:1000] = 1  # the last of ten
    np.savez(file, words=words)
    stretches = ("recipe.stretch=100", "data.batch=16")
    recipe = made(shipped("recipe=spikes", f"data.path={file}", *stretches), tmp_path)
    train_, valid, test = (recipe.data(split) for split in ("train", "valid", "test"))
    assert [len(part) for part in (train_, valid, test)] == [16, 2, 2]
    assert train_[0].all()
    assert test[0].all()
    own = made(shipped("recipe=spikes", *whole(file), *stretches), tmp_path)
    assert [len(own.data(split)) for split in ("train", "valid", "test")] == [20] * 3


def test_a_word_is_answered_with_its_bits_and_its_mode(tmp_path: Path) -> None:
    recipe = made(shipped("recipe=spikes", *TINY, "recipe.terms=independent"), tmp_path)
    model = recipe.model().eval()
    with torch.no_grad():
        rates = model.h.sigmoid()
        bits = -float((1 - rates).log2().sum() - (1 - rates[1]).log2() + rates[1].log2())
        assert recipe.answer(model, "0 1 0 0 0") == f"{bits:.2f} bits, comes to 00000"
        assert recipe.answer(model, "01") == "2 cells, the model has 5"


# ── what cannot be ──


def refused(tmp_path: Path, content: str, *words: str) -> dict[str, Any]:
    file = tmp_path / "raster.txt"
    file.write_text(content)
    told: Told = train(shipped("recipe=spikes", *whole(file), *words), tmp_path)
    assert told.code == DataError.exit_code
    error = told.one("error")
    return error | {"message": error["message"].replace(str(file), "raster.txt")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0101\n0120\n", "raster.txt, line 2: expected 0s and 1s, found '2'"),
        ("01\n10\n", "words of 2 cells"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str, message: str) -> None:
    assert refused(tmp_path, content, "data.batch=1")["message"] == message


def test_a_batch_of_more_than_there_is_says_what_to_write(tmp_path: Path) -> None:
    error = refused(tmp_path, "0101\n" * 100, "recipe.stretch=10", "data.batch=11")
    assert error["hint"] == "data.batch=all shows every step all of them"


def test_too_few_bins_to_be_judged_on_say_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "raster.txt"
    file.write_text("01101\n10010\n" * 1125)
    words = ("recipe=spikes", f"data.path={file}", "data.batch=all")
    made_ = made(shipped(*words), tmp_path)
    assert len(made_.data("valid")) == 1
    with pytest.raises(DataError, match="9 stretches of time are too few") as caught:
        made_.data("test")
    assert caught.value.hint.startswith("give a smaller recipe.stretch, or data.test=")
    assert made(shipped(*words, "recipe.stretch=200"), tmp_path).data("test")


def test_a_law_that_cannot_be_drawn_from_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.law=planted can be drawn for 16 cells"):
        made(shipped("recipe=spikes", "recipe.cells=40"), Path())


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_learns_its_law(tmp_path: Path) -> None:
    told = train(shipped("recipe=spikes"), tmp_path)
    assert told.code == 0, told.of("error")
    values = told.one("summary")["values"]
    assert abs(values["test/excess"]) < 5e-4
    assert values["test/gain"] > 0.25


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thirty_cells_are_learnt_from_samples(tmp_path: Path) -> None:
    words = ["recipe.law=common", "recipe.cells=30", "recipe.bins=50_000", "data.batch=200"]
    fit = ["recipe.samples=20_000", "budget.steps=3", "evaluate.every=3"]
    told = train(shipped("recipe=spikes", *words, *fit), tmp_path)
    assert told.code == 0, told.of("error")
    values = told.one("summary")["values"]
    assert values["test/gain"] > 0.85
    assert values["test/p_k"] < 0.025


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_real_cells_are_better_told_by_pairs_than_alone(tmp_path: Path) -> None:
    if not REAL.is_file():
        pytest.skip(f"no spikes in {REAL}")
    told = train(shipped("recipe=spikes", f"data.path={REAL}", "data.batch=128"), tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/gain"] > 0.05
