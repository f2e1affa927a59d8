from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from turnaround.corpora import images
from turnaround.errors import DataError
from turnaround.spec import Data

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "images"


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture(params=["", ".gz"])
def mnist(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Four files named as MNIST's, with 60 and 20 images of 5×4 pixels."""
    for begin, count in (("train", 60), ("t10k", 20)):
        pixels = np.arange(count * 20).reshape(count, 5, 4) % 251
        write_idx(tmp_path / f"{begin}-images-idx3-ubyte{request.param}", pixels)
        write_idx(tmp_path / f"{begin}-labels-idx1-ubyte{request.param}", np.arange(count) % 10)
    return tmp_path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty of each of two classes, in folders of that name."""
    for name, grey in (("cat", 50), ("dog", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(30):
            kind = ("png", "jpg")[n % 2]
            picture = Image.fromarray(np.full((6 + n, 9, 3), grey, np.uint8))
            picture.save(tmp_path / "photos" / name / f"{n}.{kind}")
    return tmp_path / "photos"


def test_the_four_files_of_a_folder_are_its_splits(mnist: Path) -> None:
    data = Data(path=str(mnist))
    train, valid, test = (images.split(data, name) for name in ("train", "valid", "test"))
    assert len(train) + len(valid) == 60
    assert not {one.name for one in train} & {one.name for one in valid}
    assert [one.label for one in test] == [str(n % 10) for n in range(20)]
    assert images.pixels(test[1].image, size=32).tolist() == [
        np.arange(20, 40).reshape(5, 4).tolist()
    ]


def test_a_file_of_images_finds_its_labels(mnist: Path) -> None:
    file = next(mnist.glob("t10k-images*"))
    assert len(images.split(Data(train=str(file), test=str(file)), "test")) == 20


def test_every_folder_is_a_class(photos: Path) -> None:
    splits = [images.split(Data(path=str(photos)), name) for name in ("train", "valid", "test")]
    assert sum(map(len, splits)) == 60
    assert {one.label for one in splits[0]} == {"cat", "dog"}
    for one in splits[0]:
        pixels = images.pixels(one.image, size=8)
        assert pixels.shape == (3, 8, 8)
        assert abs(int(pixels.mean()) - {"cat": 50, "dog": 200}[one.label]) < 3
    assert images.pixels(splits[0][0].image, size=8, channels=1).shape == (1, 8, 8)


def test_an_idx_file_that_is_cut_is_told_with_the_byte_where_it_ends(mnist: Path) -> None:
    file = next(mnist.glob("train-images*"))
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    file.write_bytes(content[:1000])
    with pytest.raises(DataError) as caught:
        images.split(Data(path=str(mnist)), "train")
    assert caught.value.message == (
        f"{file}, byte 1000: expected 1216 bytes for 60 × 5 × 4, found 1000"
    )


def test_labels_that_are_images_or_too_few_are_refused(mnist: Path) -> None:
    file, labels = next(mnist.glob("t10k-images*")), next(mnist.glob("t10k-labels*"))
    write_idx(labels, np.arange(19))
    with pytest.raises(DataError, match=r"has 20 images and .* has 19 labels"):
        images.idx(file)
    write_idx(labels, np.zeros((20, 5, 4)))
    with pytest.raises(DataError, match="byte 0: expected 0x00000801, found 0x00000803"):
        images.idx(file)
    labels.unlink()
    with pytest.raises(DataError, match=f"{labels.name} is not there"):
        images.idx(file)


def test_what_is_no_image_is_named(photos: Path) -> None:
    (photos / "cat" / "notes.txt").write_text("cats")
    with pytest.raises(DataError, match=r"notes\.txt cannot be read as an image: nothing that"):
        images.pixels(photos / "cat" / "notes.txt", 8)
    whole = (photos / "dog" / "1.jpg").read_bytes()
    (photos / "dog" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"1\.jpg cannot be read as an image"):
        images.pixels(photos / "dog" / "1.jpg", 8)


def test_a_folder_that_is_not_one_of_classes_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one for each class"):
        images.folder(photos / "cat")
    (photos / "mouse").mkdir()
    with pytest.raises(DataError, match="mouse holds no image"):
        images.folder(photos)
    for name in ("train", "val"):
        (tmp_path / "cut" / name).mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        images.folder(tmp_path / "cut")
    assert f"data.valid={tmp_path / 'cut' / 'val'}" in caught.value.hint


def test_a_file_that_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1,2")
    with pytest.raises(DataError, match="neither a folder of images nor an idx file"):
        images.split(Data(path=str(tmp_path / "rows.csv")), "train")


def test_the_digits_are_those_of_scikit_learn(tmp_path: Path) -> None:
    file = tmp_path / "digits"
    images.write_digits(file)
    splits = {name: images.digits(file, name) for name in ("train", "valid", "test")}
    assert {name: len(found) for name, found in splits.items()} == {
        "train": 998,
        "valid": 200,
        "test": 599,
    }
    assert {one.label for one in splits["test"]} == set("0123456789")
    assert images.pixels(splits["train"][0].image, 32).shape == (1, 8, 8)
    assert max(int(one.image.max()) for one in splits["train"]) == 255  # type: ignore[union-attr]  # these are pixels


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no MNIST in {REAL}")
def test_mnist_is_read_whole() -> None:
    splits = {name: images.split(Data(path=str(REAL)), name) for name in ("train", "valid", "test")}
    assert len(splits["test"]) == 10_000
    assert len(splits["train"]) + len(splits["valid"]) == 60_000
    assert [one.label for one in splits["test"][:5]] == ["7", "2", "1", "0", "4"]
