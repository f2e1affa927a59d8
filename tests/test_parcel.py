"""Folders and data files as bytes, for machines that share no disk."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from turnaround.errors import DataError
from turnaround.snapshot import parcel
from turnaround.spec import Data


def test_a_folder_arrives_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "deep" / "a.py").write_text("a = 1\n")
    parcel.unpack(parcel.pack(tmp_path / "code"), tmp_path / "there" / "code")
    assert (tmp_path / "there" / "code" / "deep" / "a.py").read_text() == "a = 1\n"


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    parcel.unpack(b"not even a tar", tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_nothing_is_written_outside_of_the_folder(tmp_path: Path) -> None:
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(tarfile.OutsideDestinationError):
        parcel.unpack(room.getvalue(), tmp_path / "there")
    assert list(tmp_path.iterdir()) == []


def test_data_files_arrive_where_the_plan_there_looks_for_them(tmp_path: Path) -> None:
    for name in ("corpus.en", "corpus.fr", "test.tsv"):
        (tmp_path / name).write_text(name)
    data = Data(train=str(tmp_path / "corpus"), test=str(tmp_path / "test.tsv"))
    folder = tmp_path / "there" / "3f1c"
    parcel.unpack(parcel.packed_data(data, "10.0.0.7"), folder)
    paths = parcel.unpacked_data(data, folder)
    assert Path(f"{paths['train']}.fr").read_text() == "corpus.fr"
    assert Path(paths["test"]).read_text() == "test.tsv"


def test_data_that_is_too_large_to_travel_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "MOST", 3)
    (tmp_path / "big.tsv").write_text("1234")
    with pytest.raises(DataError, match=r"big.tsv .* is not on machine 10.0.0.7, or differs there"):
        parcel.packed_data(Data(path=str(tmp_path / "big.tsv")), "10.0.0.7")
