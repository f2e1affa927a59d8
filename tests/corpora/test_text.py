from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from turnaround.corpora.text import read, split
from turnaround.errors import DataError
from turnaround.spec import Data


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(chr(ord("a") + i % 26) for i in range(200)), encoding="utf-8")
    return path


def test_the_three_splits_of_one_file_are_its_text_in_order(file: Path) -> None:
    parts = [split(Data(path=str(file)), name) for name in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [180, 10, 10]
    assert "".join(parts) == file.read_text()
    assert [split(Data(train=str(file)), name) for name in ("train", "valid", "test")] == parts


def test_a_file_of_its_own_is_a_split_whole_and_leaves_more_to_train_on(file: Path) -> None:
    own = file.with_name("own.txt")
    own.write_text("mine", encoding="utf-8")
    data = Data(train=str(file), valid=str(own))
    assert split(data, "valid") == "mine"
    assert split(data, "train") + split(data, "test") == file.read_text()
    assert len(split(data, "test")) == 10


def test_line_ends_and_spaces_are_part_of_the_text(tmp_path: Path) -> None:
    path, text = tmp_path / "text.txt", " one\r\ntwo\u2028three  \n\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path) == text
    path.write_bytes(gzip.compress(text.encode()))
    assert read(path) == text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "{} is empty"),
        (b"\n \n", "{} is empty"),
        (b"a\nb\xff", "{}, line 2: expected UTF-8, found byte 0xff at offset 3"),
        (b"\xef\xbb\xbfa\n\xff", "{}, line 2: expected UTF-8, found byte 0xff at offset 5"),
        (b"\xef\xbb\xbf", "{} is empty"),
        (b"a\n\n\0", "{}, line 3: expected UTF-8, found byte 0x00 at offset 3"),
        (gzip.compress(b"text" * 99, mtime=0)[:20], "{} cannot be read: "),
    ],
    ids=["nothing", "blank", "latin", "marked", "mark", "binary", "cut off"],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.message.startswith(said.format(path))
    assert caught.value.hint


def test_what_is_not_there_is_told_with_what_is(file: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(file.with_name("texd.txt"))
    assert caught.value.hint.startswith("did you mean text.txt?")
    with pytest.raises(DataError, match="is a folder"):
        read(file.parent)
    with pytest.raises(DataError, match="neither is the folder"):
        read(file.parent / "no" / "text.txt")


def test_one_file_and_a_file_for_a_split_are_too_much(file: Path) -> None:
    with pytest.raises(DataError, match="are both given"):
        split(Data(path=str(file), valid=str(file)), "train")
    with pytest.raises(DataError, match="no file for the train split"):
        split(Data(valid=str(file)), "train")
