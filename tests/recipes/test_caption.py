from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.trials import train
from tests.recipes.small import SMALL, shipped
from turnaround.corpora.scenes import COLOURS
from turnaround.engine.inherit import inherit
from turnaround.engine.recipe import load
from turnaround.engine.world import World
from turnaround.errors import ConfigError, DataError
from turnaround.nn.sentences import END, PAD
from turnaround.spec import Data, Plan

ROOT = Path(__file__).parents[2]
KINDS = [("recipe.model=inception",), ("recipe.attention=false",)]


def plan(*words: str, data: Data | None = None) -> Plan:
    whole = SMALL["caption"].plan("caption", "budget.steps=2", "evaluate.limit=8", *words)
    return replace(whole, data=data or whole.data)


def recipe(cache: Path, *words: str, data: Data | None = None) -> Any:
    return load(ROOT / "recipes" / "caption.py", plan(*words, data=data), cache)


@pytest.fixture
def squares(tmp_path: Path) -> Data:
    """Six flags, each with two captions, to learn by heart."""
    rows = []
    for name, colour in COLOURS.items():
        flag = Image.new("RGB", (20, 10), colour)
        flag.paste((0, 0, 0), (10, 0, 20, 10))
        flag.save(tmp_path / f"{name}.png")
        rows += [f"{name}.png\tHalf is {name}.\n", f"{name}.png\tHalf is {name}.\n"]
    table = tmp_path / "captions.tsv"
    table.write_text("".join(rows), encoding="utf-8")
    return Data(train=str(table), valid=str(table), test=str(tmp_path), batch=12)


@pytest.mark.parametrize("words", KINDS, ids=str)
def test_two_steps_run(tmp_path: Path, words: tuple[str, ...]) -> None:
    told = train(plan(*words), tmp_path)
    assert told.code == 0, told.of("error")
    summary, samples = told.one("summary"), told.one("samples")
    assert {"test/bleu", "test/exact", "test/things"} <= set(summary["values"])
    assert samples["columns"] == ["reference", "caption", "log-probability"]
    assert len(samples["rows"]) == 8


@pytest.mark.slow
@pytest.mark.parametrize("words", KINDS, ids=str)
def test_captions_of_files_are_learnt_by_heart(
    tmp_path: Path, squares: Data, words: tuple[str, ...]
) -> None:
    rest = ("recipe.dropout=0", "recipe.size=8", "recipe.hidden=32", "recipe.stages=2")
    learning = plan(
        *words,
        *rest,
        "optim.lr=0.005",
        "optim.warmup=0",
        "budget.steps=200",
        "evaluate.every=60",
        data=squares,
    )
    told = train(learning, tmp_path)
    assert told.code == 0, told.of("error")
    values = told.one("summary")["values"]
    assert values["test/exact"] == 1
    assert values["test/bleu"] == pytest.approx(100)
    assert "test/things" not in values  # nobody knows what is on them
    made = recipe(tmp_path, *words, *rest, data=squares)
    model = made.model().eval()
    inherit(model, tmp_path / "runs" / "digits-22222", World(torch.device("cpu")))
    assert made.answer(model, str(Path(squares.test or "") / "red.png")) == "Half is red."


@pytest.mark.parametrize("words", KINDS, ids=str)
def test_what_an_example_contributes_depends_on_no_neighbour(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    made = recipe(tmp_path, *words)
    model, examples = made.model().double().eval(), made.data("train")[:6]

    def loss(some: list[Any]) -> torch.Tensor:
        batch = made.collate(some)
        images, prefix = made.inputs(batch)
        return made.loss(model(images.double(), prefix), batch).values

    torch.testing.assert_close(loss(examples), sum(loss([one]) for one in examples))


def test_beam_search_sees_the_probabilities_of_training(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model, batch = made.model().eval(), made.collate(made.data("valid")[:4])
    model.out.bias.data[[PAD, END]] = torch.tensor([-99.0, 3.0])  # untrained it hardly ever ends
    found = made.written(model, batch.images)
    target = [torch.tensor([*tokens, END]) for tokens in found.tokens]
    guess = replace(batch, target=torch.nn.utils.rnn.pad_sequence(target, True, PAD))
    nll = made.loss(model(*made.inputs(guess)), guess).sum.item()
    assert sum(found.log_probs) == pytest.approx(-nll, rel=1e-5)


def test_things_that_are_missing_or_too_many_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(tmp_path)
    model, batch = made.model(), made.collate(made.data("valid")[:2])
    true = [["red circle", "blue square"], ["red circle"]]
    told = ["A large red circle is on the left.", "A red circle, a red circle, a green cross."]
    texts = [[" and ".join(names)] for names in true]
    monkeypatch.setattr(made, "sentences", lambda found: told)
    monkeypatch.setattr(made, "written", lambda model, images: None)
    scores = made.score(model, replace(batch, references=texts), None)
    assert scores["things"].compute() == pytest.approx((1 + 1) / (2 + 3))


def test_it_starts_from_the_convolutions_of_an_image_run(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("one", "two"):
        (photos / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photos / name / "1.png")
    data = Data(train=str(photos), valid=str(photos), test=str(photos), batch=2)
    words = ("recipe.model=plain", "recipe.stages=4", "recipe.shift=0", "budget.steps=2")
    told = train(replace(SMALL["image"].plan("image", *words), data=data), tmp_path)
    assert told.code == 0, told.of("error")
    (tmp_path / "runs" / "digits-22222").rename(tmp_path / "runs" / "image-33333")
    again = replace(plan("recipe.stages=4"), init_from="image-33333")
    said = train(again, tmp_path).one("notice")["message"]
    assert "init_from=image-33333: 12 of" in said  # a convolution and two of its norm, four times


def test_a_bad_row_is_told_with_its_file_and_line(tmp_path: Path, squares: Data) -> None:
    table = Path(squares.train or "")
    table.write_text(f"{table.read_text()}grey.png\tHalf is grey.\n")
    told = train(plan(data=squares), tmp_path)
    assert told.code == DataError.exit_code
    assert f"{table}, line 13: there is no image" in told.one("error")["message"]


def test_a_width_that_has_no_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.width=12"):
        recipe(tmp_path, "recipe.width=12")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_describes_unseen_scenes(tmp_path: Path) -> None:
    values = train(shipped("recipe=caption"), tmp_path).one("summary")["values"]
    assert values["test/bleu"] >= 80
    assert values["test/things"] >= 0.95
