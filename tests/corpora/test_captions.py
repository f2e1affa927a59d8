from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from turnaround.corpora import captions
from turnaround.errors import DataError
from turnaround.spec import Data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images in a folder of their own, three of which have two captions."""
    (tmp_path / "photos").mkdir()
    rows = []
    for n in range(12):
        Image.fromarray(np.full((9, 7, 3), 20 * n, np.uint8)).save(tmp_path / f"photos/{n}.png")
        rows += [f"photos/{n}.png\tGrey number {n}.\n"]
        rows += [f"photos/{n}.png\tNumber {n} is grey.\n"] * (n < 3)
    (tmp_path / "captions.tsv").write_text("".join(rows), encoding="utf-8")
    return tmp_path


def test_a_table_and_json_lines_say_the_same(folder: Path) -> None:
    tabbed = captions.read(folder)
    rows = [{"image": str(one.image.relative_to(folder)), "caption": one.text} for one in tabbed]
    table = folder / "captions.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    written = captions.read(table)
    assert [one[:3] for one in written] == [one[:3] for one in tabbed]
    assert len(tabbed) == 15
    assert tabbed[1].references == ["Grey number 0.", "Number 0 is grey."]


def test_all_captions_of_an_image_are_in_one_split(folder: Path) -> None:
    table = folder / "captions.tsv"
    table.write_text(table.read_text() * 3)
    for _ in range(40):  # more images, so that no split is empty
        table.write_text(table.read_text())
    seen: dict[Path, str] = {}
    for name in ("train", "valid", "test"):
        try:
            found = captions.split(Data(path=str(folder)), name)
        except DataError:  # too few for this one
            continue
        for one in found:
            assert seen.setdefault(one.image, name) == name


def test_an_image_is_squeezed_into_a_square(folder: Path) -> None:
    pixels = captions.pixels(captions.read(folder)[-1], size=5)
    assert pixels.shape == (3, 5, 5)
    assert (pixels == 220).all()


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("c.tsv", "photos/1.png", "expected image TAB caption, found no tab: 'photos/1.png'"),
        ("c.tsv", "photos/1.png\t ", "expected image TAB caption, found an empty side"),
        ("c.tsv", "photos/99.png\tWhat?", "there is no image"),
        ("c.jsonl", "{no", "expected JSON, found '{no'"),
        ("c.jsonl", '{"image": "photos/1.png"}', "expected texts for image and caption"),
        ("c.jsonl", '["photos/1.png", "a"]', "expected texts for image and caption"),
    ],
)
def test_a_bad_row_is_told_with_its_file_and_line(
    folder: Path, name: str, row: str, message: str
) -> None:
    good = {"c.tsv": "photos/0.png\tGood.", "c.jsonl": '{"image": "photos/0.png", "caption": "G"}'}
    table = folder / name
    table.write_text(f"{good[name]}\n{row}\n")
    with pytest.raises(DataError) as caught:
        captions.read(table)
    assert f"{table}, line 2: {message}" in caught.value.message


def test_an_image_that_is_none_is_told_with_the_row_that_names_it(folder: Path) -> None:
    (folder / "photos" / "3.png").write_text("not an image")
    broken = next(one for one in captions.read(folder) if one.image.name == "3.png")
    with pytest.raises(DataError) as caught:
        captions.pixels(broken, 8)
    assert caught.value.message.startswith(f"{folder / 'captions.tsv'}, line 7: ")
    assert "3.png cannot be read as an image: nothing that pillow knows" in caught.value.message


def test_a_folder_with_no_table_or_two_is_refused(folder: Path) -> None:
    (folder / "more.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"found captions\.tsv, more\.jsonl"):
        captions.read(folder)
    with pytest.raises(DataError, match="found none"):
        captions.read(folder / "photos")


def listed(folder: Path, *more: str) -> Path:
    """Sixty images in the folder and a caption of each; and of more images."""
    folder.mkdir(parents=True)
    rows = [f"{n}.png\tGrey number {n}.\n" for n in range(60)]
    for n in range(60):
        (folder / f"{n}.png").touch()
    table = folder / "captions.tsv"
    table.write_text("".join([*rows, *(f"{image}\tOne more.\n" for image in more)]))
    return table


def cut(path: Path) -> dict[str, list[str]]:
    names = ("train", "valid", "test")
    return {
        name: [one.text for one in captions.split(Data(path=str(path)), name)] for name in names
    }


def test_the_cut_is_the_same_wherever_the_folder_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = listed(tmp_path / "here")
    found = cut(table)
    assert cut(table.parent) == found
    shutil.copytree(table.parent, tmp_path / "there" / "data")
    assert cut(tmp_path / "there" / "data") == found
    monkeypatch.chdir(tmp_path)
    assert cut(Path("here")) == found
    table.write_text("".join(f"{table.parent}/{row}\n" for row in table.read_text().splitlines()))
    assert cut(Path("here")) == found


def test_an_image_that_lies_outside_is_cut_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "other.png").touch()
    inside = cut(listed(tmp_path / "here"))
    found = cut(listed(tmp_path / "there", str(tmp_path / "other.png")))
    (where,) = [name for name, mine in found.items() if "One more." in mine]
    found[where].remove("One more.")
    assert found == inside


@pytest.mark.parametrize("kind", ["tsv", "jsonl"])
def test_a_table_may_be_gzipped(folder: Path, kind: str) -> None:
    plain = captions.read(folder)
    rows = {
        "tsv": [f"{one.image}\t{one.text}" for one in plain],
        "jsonl": [json.dumps({"image": str(one.image), "caption": one.text}) for one in plain],
    }
    zipped = folder / f"zipped.{kind}.gz"
    zipped.write_bytes(gzip.compress("\n".join(rows[kind]).encode()))
    assert [one[:3] for one in captions.read(zipped)] == [one[:3] for one in plain]
    assert captions.read(folder) == plain  # of the table that is not
    (folder / "captions.tsv").unlink()
    assert captions.read(folder) == captions.read(zipped)


@pytest.mark.parametrize("image", ["A long caption. " * 20, f"{'A long caption. ' * 20}/1.png"])
def test_what_is_too_long_to_be_a_name_is_not_there(folder: Path, image: str) -> None:
    (folder / "captions.tsv").write_text(f"{image}\tphotos/1.png\n")
    with pytest.raises(DataError, match=r"captions\.tsv, line 1: there is no image"):
        captions.read(folder)
