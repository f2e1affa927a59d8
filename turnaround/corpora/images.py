"""Labelled images from files: idx (MNIST's four in a folder), a folder for each class, or digits.

    found = split(Data(path="mnist"), "test")          # t10k-images-idx3-ubyte.gz and its labels
    found = split(Data(path="photos"), "train")        # photos/cat/1.jpg, photos/dog/2.png, …
    found[0].label, pixels(found[0].image, size=32)    # "cat", (3, 32, 32)

An image is its pixels or the file that holds them, which is opened when they are wanted. Gzipped or
not. What is transparent is on white, and of 16 bits the upper eight are seen. What cannot be read
is an error that names the file, and of an idx file the byte.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from turnaround.corpora import splits
from turnaround.errors import DataError, near
from turnaround.spec import Data

Pixels = NDArray[np.uint8]  # (channels, height, width)
GZIP = b"\x1f\x8b"
IDX_IMAGES, IDX_LABELS = 0x803, 0x801  # bytes in three dimensions, and in one
PARTS = {"train", "valid", "val", "test"}  # folders that are no classes


class Labelled(NamedTuple):
    """An image and what it shows."""

    image: Pixels | Path
    label: str
    name: str  # of the file, or the number in it


def split(data: Data, name: str) -> list[Labelled]:
    """The images of `train`, `valid` or `test`; what has no file of its own is cut from train."""
    path, cut = splits.chosen(data, name)
    if path.is_dir() and _idx(path, "train-images"):
        tested = _idx(path, "t10k-images")
        if tested and name == "test":
            return idx(tested)
        path = _idx(path, "train-images") or path
        cut = tuple(part for part in cut if part != "test" or not tested)
    found = folder(path) if path.is_dir() else idx(path)
    return splits.kept(found, [one.name for one in found], name, cut)


def pixels(image: Pixels | Path, size: int | tuple[int, int], channels: int = 3) -> Pixels:
    """Those of a file squeezed into a square, or into (height, width); others stay as they are."""
    if not isinstance(image, Path):
        return image
    height, width = (size, size) if isinstance(size, int) else size
    try:
        with Image.open(image) as opened:
            seen = _opaque(_eight_bits(_upright(opened), image))
            squeezed = seen.convert("L" if channels == 1 else "RGB").resize((width, height))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{image} cannot be read as an image: {_reason(error)}",
            "see that it is whole, or take it out of the folder",
        ) from None
    array = np.asarray(squeezed, np.uint8)
    return array[None] if channels == 1 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (struct.error, TypeError) as error:
        raise ValueError(f"its EXIF is damaged ({error})") from None


def _eight_bits(image: Image.Image, file: Path) -> Image.Image:
    """The upper eight of 16 bits; what is of no certain range as it is, if it can be of eight."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode not in ("I", "F"):
        return image
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "I" and low >= 0 and 255 < high < 2**16:
        return Image.fromarray((values >> 8).astype(np.uint8))
    if low >= 0 and high <= 255 and (image.mode == "I" or high > 1):  # of "F", 1 may be white
        return image
    raise DataError(
        f"{file}: expected values of 8 or 16 bits, found numbers from {low:g} to {high:g}",
        "save it with 8 bits for each channel",
    )


def _opaque(image: Image.Image) -> Image.Image:
    """On white, where one can see through it."""
    if not (image.mode.endswith(("A", "a")) or "transparency" in image.info):
        return image
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)


def _reason(error: Exception) -> str:
    if "cannot identify image file" in str(error):
        return "nothing that pillow knows"
    return getattr(error, "strerror", None) or str(error)


# ── a folder for each class ──


def folder(path: Path) -> list[Labelled]:
    """Every file in each folder of `path`, whose name is the class; hidden files are not seen."""
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and _seen(entry, path))
    if classes and {entry.name for entry in classes} <= PARTS:
        given = " ".join(f"data.{_part(entry.name)}={entry}" for entry in classes)
        raise DataError(f"{path} holds {', '.join(e.name for e in classes)}, no classes", given)
    if len(classes) < 2:
        raise DataError(
            f"{path} holds {len(classes) or 'no'} folder of images, expected one for each class",
            f"as in {path.name}/cat/1.jpg, {path.name}/dog/2.png; or give MNIST's idx files",
        )
    return [found for entry in classes for found in _class(entry)]


def _part(name: str) -> str:
    return "valid" if name == "val" else name


def _seen(entry: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in entry.relative_to(root).parts)


def _class(path: Path) -> list[Labelled]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and _seen(file, path))
    if not files:
        raise DataError(f"{path} holds no image", "fill the folder, or take it away")
    return [Labelled(file, path.name, str(file.relative_to(path.parent))) for file in files]


# ── idx ──


def idx(path: Path) -> list[Labelled]:
    """The images of an idx file, with the labels of the one beside it (images → labels)."""
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    if beside == path:
        raise DataError(
            f"{path} is neither a folder of images nor an idx file of images",
            "give a folder with one folder for each class, or …-images-idx3-ubyte",
        )
    images, labels = _array(path, IDX_IMAGES), _array(beside, IDX_LABELS)
    if len(images) != len(labels):
        raise DataError(
            f"{path} has {len(images)} images and {beside} has {len(labels)} labels",
            "give the two files that belong together",
        )
    both = zip(images[:, None], labels.tolist(), strict=True)
    return [Labelled(image, str(label), str(n)) for n, (image, label) in enumerate(both)]


def _idx(path: Path, begin: str) -> Path | None:
    """The file in the folder whose name begins so, if there is one."""
    return next(iter(sorted(path.glob(f"{begin}*"))), None)


def _array(path: Path, expected: int) -> NDArray[np.uint8]:
    content = _content(path)
    magic = int.from_bytes(content[:4], "big")
    if len(content) < 4 or magic != expected:
        raise DataError(
            f"{path}, byte 0: expected 0x{expected:08x}, found 0x{content[:4].hex()}",
            f"an idx file of {'images' if expected == IDX_IMAGES else 'labels'} begins with that",
        )
    dimensions = magic & 255
    begin = 4 + 4 * dimensions
    if len(content) < begin:
        raise DataError(f"{path}, byte {len(content)}: it ends in its header", "get it again")
    shape: Sequence[int] = struct.unpack(f">{dimensions}I", content[4:begin])
    size = int(np.prod(shape, dtype=np.int64))
    if len(content) != begin + size:
        raise DataError(
            f"{path}, byte {len(content)}: expected {begin + size} bytes for "
            f"{' × '.join(map(str, shape))}, found {len(content)}",
            "get it again: it is not whole",
        )
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except FileNotFoundError:
        where = path.absolute().parent
        names = [entry.name for entry in where.iterdir()] if where.is_dir() else []
        raise DataError(f"{path} is not there", near(path.name, names)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {_reason(error)}", "see that it is whole"
        ) from None


# ── digits that scikit-learn brings ──


def write_digits(file: Path) -> None:
    """The 1,797 digits of 8×8 pixels that scikit-learn brings, into a file of numpy's."""
    # Late: it takes 2 s, and is wanted once.
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it has no types

    found = load_digits()
    images = (found.images * (255 / 16)).round().astype(np.uint8)
    with file.open("wb") as opened:
        np.savez(opened, images=images, labels=found.target)


def digits(file: Path, name: str) -> list[Labelled]:
    """A split of those: of each nine that follow each other three are test and one is valid.

    Neighbours are often by one hand, so nobody in test is a stranger.
    """
    with np.load(file) as held:
        both = zip(held["images"][:, None], held["labels"].tolist(), strict=True)
        found = [Labelled(image, str(label), str(n)) for n, (image, label) in enumerate(both)]
    where = {0: "test", 3: "test", 6: "test", 1: "valid"}
    return [one for n, one in enumerate(found) if where.get(n % 9, "train") == name]
