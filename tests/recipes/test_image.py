from __future__ import annotations

import os
import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.engine.trials import train
from tests.recipes.small import SMALL, shipped
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError
from turnaround.spec import Data, Plan

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "images"


def plan(*words: str, data: Data | None = None) -> Plan:
    whole = SMALL["image"].plan("image", "budget.steps=2", "evaluate.limit=8", *words)
    return replace(whole, data=data or whole.data)


def recipe(cache: Path, *words: str, data: Data | None = None) -> Any:
    return load(ROOT / "recipes" / "image.py", plan(*words, data=data), cache)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A dozen of each of two classes: cats are striped across, dogs up and down."""
    for name, striped in (("cat", np.s_[::3]), ("dog", np.s_[:, ::3])):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(12):
            pixels = np.full((8, 8, 3), 10 * n, np.uint8)
            pixels[striped] = 250
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{n}.png")
    return tmp_path / "photos"


def whole(folder: Path) -> Data:
    """The same images to train and to be judged on."""
    return Data(train=str(folder), valid=str(folder), test=str(folder), batch=8)


def test_a_moved_image_is_the_same_image_elsewhere(tmp_path: Path) -> None:
    made, plain = recipe(tmp_path), recipe(tmp_path, "recipe.shift=0")
    moved, still = made.data("train"), plain.data("train")
    count = len(still)
    assert len(moved) == 9 * count
    for place in range(9):
        down, right = place // 3 - 1, place % 3 - 1
        one, other = moved[place * count + 5], still[5]
        assert (one.label, one.name) == (other.label, other.name)
        inner = one.pixels[:, 1 + down : 7 + down, 1 + right : 7 + right]
        assert (inner == other.pixels[:, 1:7, 1:7]).all()
    assert len(made.data("valid")) == len(plain.data("valid")) == 200


def test_only_some_classes_and_so_many_labels_are_learnt(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.classes=[7,3]", "recipe.labels=20", "recipe.shift=0")
    torch.manual_seed(0)
    first = [example.name for example in made.data("train")]
    torch.manual_seed(1)
    second = [example.name for example in made.data("train")]
    assert len(first) == len(second) == 20
    assert first != second  # the seed draws them
    assert made.classes == ["3", "7"]
    assert {example.label for example in made.data("test")} == {0, 1}
    assert made.model().out.out_channels == 2


def test_a_class_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.classes: 11 is not among them"):
        _ = recipe(tmp_path, "recipe.classes=[1,11]").classes


def test_photos_of_two_classes_are_told_apart(tmp_path: Path, photos: Path) -> None:
    words = ("recipe.shift=0", "recipe.size=8", "budget.steps=40", "optim.lr=0.02")
    learning = plan(*words, data=whole(photos))
    told = train(learning, tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/accuracy"] == 1
    samples = told.one("samples")
    assert samples["columns"] == ["image", "class", "prediction", "probability"]
    assert all(name.startswith(true) and true == guess for name, true, guess, _ in samples["rows"])


def test_a_file_is_answered_with_its_class(tmp_path: Path, photos: Path) -> None:
    made = recipe(tmp_path, "recipe.size=8", data=whole(photos))
    model = made.model().eval()
    guess, share = made.answer(model, f"{photos / 'cat' / '1.png'}\n").split()
    assert guess in ("cat", "dog")
    assert 0.5 <= float(share.strip("()")) <= 1
    with pytest.raises(DataError, match=r"nothing\.png cannot be read"):
        made.answer(model, str(tmp_path / "nothing.png"))


def idx(folder: Path, height: int, width: int) -> Path:
    """An idx file of twelve images of cats and dogs in turn, and that of their labels."""
    folder.mkdir()
    for name, array in (
        ("images-idx3", np.zeros((12, height, width), np.uint8)),
        ("labels-idx1", np.arange(12, dtype=np.uint8) % 2),
    ):
        head = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
        (folder / f"{name}-ubyte").write_bytes(head + array.tobytes())
    return folder / "images-idx3-ubyte"


def test_files_are_seen_as_the_idx_images_to_train_on_are(tmp_path: Path, photos: Path) -> None:
    for name, digit in (("cat", "0"), ("dog", "1")):
        (photos / name).rename(photos / digit)
    own = Data(train=str(idx(tmp_path / "idx", 6, 9)), valid=str(photos), test=str(photos), batch=4)
    made = recipe(tmp_path, "recipe.shift=0", data=own)
    assert {example.pixels.shape for example in made.data("valid")} == {(1, 6, 9)}
    file = photos / "0" / "1.png"
    assert made.pixels(file).shape == (1, 6, 9)
    assert made.answer(made.model().eval(), str(file)).split()[0] in ("0", "1")


def test_idx_images_have_the_channels_of_the_files_to_train_on(
    tmp_path: Path, photos: Path
) -> None:
    for name, digit in (("cat", "0"), ("dog", "1")):
        (photos / name).rename(photos / digit)
    file = str(idx(tmp_path / "idx", 8, 8))
    told = train(
        plan("recipe.size=8", data=replace(whole(photos), valid=file, test=file)), tmp_path
    )
    assert told.code == 0, told.of("error")


def test_a_class_that_was_not_trained_on_is_refused(tmp_path: Path, photos: Path) -> None:
    other = tmp_path / "other"
    for name in ("cat", "cow"):
        (other / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(other / name / "1.png")
    told = train(plan(data=replace(whole(photos), test=str(other))), tmp_path)
    assert told.code == DataError.exit_code
    assert "cow/1.png shows cow, of which there is no image" in told.one("error")["message"]


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, photos: Path) -> None:
    (photos / "dog" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    told = train(plan("budget.steps=20", data=whole(photos)), tmp_path)
    assert told.code == DataError.exit_code
    assert told.one("error")["message"].startswith(f"{photos / 'dog' / '3.png'} cannot be read")


def test_an_image_is_judged_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    for kind in ("inception", "plain"):
        made = recipe(tmp_path, f"recipe.model={kind}")
        model, examples = made.model().double(), made.data("valid")[:6]

        def loss(some: list[Any], made: Any = made, model: Any = model) -> torch.Tensor:
            pixels, labels = made.collate(some)
            return made.loss(model(pixels.double() / 255), (pixels, labels)).values

        torch.testing.assert_close(loss(examples), sum(loss([one]) for one in examples))


def test_another_runs_convolutions_are_taken_and_its_classes_left(tmp_path: Path) -> None:
    assert train(plan("recipe.classes=[0,1,2]"), tmp_path).code == 0
    (tmp_path / "runs" / "digits-22222").rename(tmp_path / "runs" / "image-33333")
    again = replace(plan("recipe.classes=[3,4]"), init_from="image-33333")
    said = train(again, tmp_path).one("notice")["message"]
    assert "fresh: out.weight (2, 16, 1, 1) there (3, 16, 1, 1), out.bias (2,) there (3,)" in said


@pytest.mark.parametrize("word", ["recipe.width=12", "recipe.model=resnet", "recipe.shift=-1"])
def test_a_knob_that_makes_no_sense_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        recipe(tmp_path, word)


def test_no_knob_of_photos_matters_to_digits(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.size=100")
    assert made.data("valid")[0].pixels.shape == (1, 8, 8)
    assert "sklearn" not in sys.modules or made.classes == [str(n) for n in range(10)]


# ── long ones: -m slow ──


@pytest.mark.slow
def test_the_default_knows_unseen_digits(tmp_path: Path) -> None:
    told = train(shipped("recipe=image"), tmp_path)
    assert told.one("summary")["values"]["test/accuracy"] >= 0.98


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not REAL.is_dir(), reason=f"no MNIST in {REAL}")
def test_a_little_of_mnist_is_learnt(tmp_path: Path) -> None:
    words = ("experiment=mnist", f"data.path={REAL}", "budget.steps=300", "evaluate.limit=1000")
    told = train(shipped(*words), tmp_path)
    assert told.one("summary")["values"]["test/accuracy"] > 0.95
