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


def seen(file: Path, picture: Image.Image, channels: int = 3) -> np.ndarray:
    """The first of the pixels, once the picture was in a file."""
    picture.save(file)
    return images.pixels(file, 4, channels)[:, 0, 0]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_of_sixteen_bits_the_upper_eight_are_seen(tmp_path: Path, name: str) -> None:
    grey = Image.fromarray(np.full((4, 4), 30_000, np.uint16))
    assert seen(tmp_path / name, grey).tolist() == [117] * 3
    assert seen(tmp_path / name, grey, channels=1).tolist() == [117]
    other_end = Image.frombytes("I;16B", (4, 4), (30_000).to_bytes(2, "big") * 16)
    assert seen(tmp_path / "b.tif", other_end).tolist() == [117] * 3


def test_numbers_of_no_certain_range_are_seen_if_they_can_be_of_eight_or_sixteen_bits(
    tmp_path: Path,
) -> None:
    for kind in (np.int32, np.float32):
        assert seen(tmp_path / "a.tif", Image.fromarray(np.full((4, 4), 200, kind)))[0] == 200
    assert seen(tmp_path / "a.tif", Image.fromarray(np.full((4, 4), 30_000, np.int32)))[0] == 117


@pytest.mark.parametrize(
    ("kind", "number", "found"),
    [
        (np.float32, 0.5, "0.5"),
        (np.float32, 3000, "3000"),
        (np.float32, np.nan, "nan"),
        (np.int32, -1, "-1"),
        (np.int32, 70_000, "70000"),
    ],
)
def test_numbers_of_another_range_are_refused(
    tmp_path: Path, kind: type, number: float, found: str
) -> None:
    with pytest.raises(DataError) as caught:
        seen(tmp_path / "a.tif", Image.fromarray(np.full((4, 4), number, kind)))
    assert caught.value.message == (
        f"{tmp_path / 'a.tif'}: expected values of 8 or 16 bits, "
        f"found numbers from {found} to {found}"
    )


def test_what_is_transparent_is_on_white(tmp_path: Path) -> None:
    black = (0, 0, 0, 0)
    assert seen(tmp_path / "a.png", Image.new("RGBA", (4, 4), black)).tolist() == [255] * 3
    assert seen(tmp_path / "a.png", Image.new("LA", (4, 4), (0, 0)), 1).tolist() == [255]
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 127))
    assert seen(tmp_path / "a.png", half).tolist() == [128] * 3
    opaque = Image.new("RGBA", (4, 4), (10, 20, 30, 255))
    assert seen(tmp_path / "a.png", opaque).tolist() == [10, 20, 30]
    named = Image.new("P", (4, 4), 1)
    named.info["transparency"] = 1
    assert seen(tmp_path / "a.gif", named).tolist() == [255] * 3


@pytest.mark.parametrize("tag", [0x0100, 0x011A])  # of a width and of a ratio; here it is a text
def test_damaged_exif_is_named(tmp_path: Path, tag: int) -> None:
    picture = Image.new("RGB", (16, 16))
    exif = picture.getexif()
    exif[0x0112], exif[0x010E] = 6, "hello"
    file = tmp_path / "a.jpg"
    picture.save(file, exif=exif)
    content = file.read_bytes()
    file.write_bytes(content.replace(struct.pack(">2H", 0x010E, 2), struct.pack(">2H", tag, 2)))
    with pytest.raises(DataError, match=r"a\.jpg cannot be read as an image: its EXIF is damaged"):
        images.pixels(file, 8)


def test_a_file_is_squeezed_into_any_size(photos: Path) -> None:
    assert images.pixels(photos / "cat" / "0.png", (5, 7), 1).shape == (1, 5, 7)


def test_what_is_hidden_is_not_seen(photos: Path) -> None:
    whole = images.folder(photos)
    (photos / "cat" / ".thumbs").mkdir()
    (photos / "cat" / "more").mkdir()
    (photos / ".trash").mkdir()
    for hidden in ("cat/.thumbs/1.png", "cat/.2.png", ".trash/3.png"):
        (photos / hidden).touch()
    (photos / "cat" / "more" / "4.png").touch()
    more = images.folder(photos)
    assert {one.name for one in more} - {one.name for one in whole} == {"cat/more/4.png"}
    assert len(images.folder(photos.rename(photos.with_name(".photos")))) == len(more)


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
