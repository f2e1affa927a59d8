from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from turnaround.corpora import spikes
from turnaround.errors import DataError
from turnaround.spec import Data

WORDS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], np.uint8)


@pytest.mark.parametrize("turned", [False, True])
def test_the_longer_side_of_a_matrix_is_time(tmp_path: Path, turned: bool) -> None:
    file = tmp_path / "spikes.npz"
    np.savez(file, trains=WORDS.T if turned else WORDS, bin=20.0)
    assert spikes.read(file).tolist() == WORDS.tolist()


def test_one_of_several_matrices_is_named(tmp_path: Path) -> None:
    file = tmp_path / "spikes.npz"
    np.savez(file, first=WORDS, second=1 - WORDS)
    assert spikes.read(file, "second").tolist() == (1 - WORDS).tolist()
    with pytest.raises(DataError, match=r"holds first \(4, 3\), second \(4, 3\): which matrix"):
        spikes.read(file)
    with pytest.raises(DataError, match="which matrix") as caught:
        spikes.read(file, "secund")
    assert caught.value.hint.startswith("did you mean second?")


def test_a_count_is_refused_with_its_bin_and_cell(tmp_path: Path) -> None:
    file = tmp_path / "spikes.npz"
    np.savez(file, counts=WORDS * 2)
    with pytest.raises(DataError) as caught:
        spikes.read(file)
    assert caught.value.message == f"{file}, counts, bin 0, cell 1: expected 0 or 1, found 2"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spikes.npz"
    file.write_text("0101")
    with pytest.raises(DataError, match=r"is no \.npz file"):
        spikes.read(file)
    with pytest.raises(DataError, match=r"other\.npz"):
        spikes.read(tmp_path / "other.npz")


def test_a_raster_has_a_line_for_each_bin(tmp_path: Path) -> None:
    file = tmp_path / "raster.txt"
    file.write_text("# cells 1 to 3\n011\n1 0 0\n\n0,0,0 # silence\n111\r\n")
    assert spikes.read(file).tolist() == WORDS.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("011\n0x1\n", ", line 2: expected 0s and 1s, found 'x'"),
        ("011\n\n01\n", ", line 3: expected 3 cells, found 2"),
        ("# nothing\n", " holds no bin"),
    ],
)
def test_a_line_of_another_form_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "raster.txt"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        spikes.read(file)
    assert caught.value.message == f"{file}{message}"


def test_a_word_is_written_as_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "raster.txt"
    file.write_text("\n".join(map(spikes.written, WORDS)))
    assert spikes.read(file).tolist() == WORDS.tolist()


# ── known laws ──


@pytest.mark.parametrize("law", [spikes.planted(6), spikes.common(6)])
def test_a_law_sums_to_one_and_words_follow_it(law: spikes.Law) -> None:
    assert np.exp(law).sum() == pytest.approx(1)
    words = spikes.drawn(law, 50_000, seed=1)
    assert spikes.drawn(law, 50_000, seed=1).tolist() == words.tolist()
    rates = np.exp(law) @ spikes.every(6)
    assert np.abs(words.mean(0) - rates).max() < 0.007  # three standard errors


def test_words_of_a_common_input_are_of_its_law() -> None:
    words = spikes.common_words(5, 200_000, seed=0)
    numbers = words @ 2 ** np.arange(5)[::-1]
    seen = np.bincount(numbers, minlength=32) / len(words)
    assert np.abs(seen - np.exp(spikes.common(5))).max() < 0.004
    assert words.mean(0) == pytest.approx(np.linspace(0.03, 0.09, 5), abs=0.003)


def test_of_many_cells_no_law_is_known_but_words_are_drawn() -> None:
    law = spikes.known("common", 30)
    assert law is None
    assert np.array_equal(spikes.generated(law, 30, 50, 1), spikes.common_words(30, 50, 1))
    law = spikes.known("planted", 5)
    assert law is not None
    assert np.array_equal(law, spikes.planted(5))
    assert np.array_equal(spikes.generated(law, 5, 50, 1), spikes.drawn(law, 50, 1))


def test_a_file_of_one_array_is_no_archive(tmp_path: Path) -> None:
    file = tmp_path / "spikes.npz"
    with file.open("wb") as single:
        np.save(single, np.zeros((9, 3)))
    with pytest.raises(DataError, match=r"is no \.npz file"):
        spikes.read(file)
    np.savez(file, words=np.array([[None, 1], [0, 1]], dtype=object))
    with pytest.raises(DataError, match="cannot be read: Object arrays"):
        spikes.read(file)


@pytest.mark.parametrize("damage", ["method", "content"])
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "spikes.npz"
    np.savez_compressed(file, words=np.random.default_rng(0).integers(0, 2, (500, 4)))
    content = bytearray(file.read_bytes())
    listed = content.index(b"PK\x01\x02")  # where zip's list of what it holds begins
    if damage == "method":  # of compression: one that nobody knows
        content[listed + 10] = content[8] = 77
    else:
        content[100:400] = bytes(range(150)) * 2
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"spikes\.npz is no \.npz file: \w"):
        spikes.read(file)


def test_a_split_of_other_cells_than_those_to_train_on_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("01100\n" * 9)
    second.write_text("011001\n" * 9)
    source = Data(train=str(first), valid=str(second), test=str(first))
    trains = spikes.Trains(source, None, "planted", 10, 1000)
    assert trains.words("test").shape == trains.words("train").shape == (9, 5)
    with pytest.raises(DataError) as caught:
        trains.words("valid")
    assert caught.value.message == f"{second} has 6 cells, and {first} has 5"
