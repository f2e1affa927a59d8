from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest

from turnaround.corpora.pairs import Pair, read, split
from turnaround.errors import DataError
from turnaround.spec import Data

ROWS = [Pair(f"I see {n} birds.", f"Je vois {n} oiseaux\u202f!") for n in range(1000)]


def table(file: Path, rows: list[Pair] = ROWS) -> Path:
    file.write_text("".join(f"{row.source}\t{row.target}\n" for row in rows), encoding="utf-8")
    return file


def test_a_table_is_read_row_by_row(tmp_path: Path) -> None:
    assert read(table(tmp_path / "pairs.tsv")) == ROWS


def test_further_columns_carriage_returns_and_a_byte_order_mark_are_left_out(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes("\ufeffGo.\tVa !\tCC-BY (France)\r\nRun!\tCours !\tCC-BY".encode())
    assert read(file) == [Pair("Go.", "Va !"), Pair("Run!", "Cours !")]


def test_an_unusual_line_separator_inside_a_sentence_is_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("Go\u2028now.\tVa\x85vite.\n", encoding="utf-8")
    assert read(file) == [Pair("Go\u2028now.", "Va\x85vite.")]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    plain = table(tmp_path / "pairs.tsv")
    (tmp_path / "named.tsv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "unnamed.tsv").write_bytes(gzip.compress(plain.read_bytes()))
    assert read(tmp_path / "named.tsv.gz") == read(tmp_path / "unnamed.tsv") == ROWS


def test_parallel_files_are_named_by_what_they_share(tmp_path: Path) -> None:
    (tmp_path / "corpus.en").write_text("Go.\n\nRun!\n", encoding="utf-8")
    (tmp_path / "corpus.fr.gz").write_bytes(gzip.compress(b"Va !\n\nCours !\n"))
    assert read(tmp_path / "corpus") == [Pair("Go.", "Va !"), Pair("Run!", "Cours !")]
    (tmp_path / "corpus.de").write_text("Geh.\n\nLauf!\n", encoding="utf-8")
    assert read(tmp_path / "corpus", ("de", "en"))[1] == Pair("Lauf!", "Run!")


# ── splits ──


def test_one_file_is_cut_in_three_by_its_sources(tmp_path: Path) -> None:
    rows = [*ROWS, Pair(ROWS[7].source, "another translation")]
    data = Data(path=str(table(tmp_path / "pairs.tsv", rows)))
    parts = {name: split(data, name) for name in ("train", "valid", "test")}
    assert sorted(itertools.chain.from_iterable(parts.values())) == sorted(rows)
    sources = [{row.source for row in part} for part in parts.values()]
    assert sum(map(len, sources)) == len(ROWS)  # no source is in two splits
    assert 20 < len(parts["valid"]) < 80
    assert 20 < len(parts["test"]) < 80


def test_the_cut_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    one = Data(path=str(table(tmp_path / "one.tsv")))
    other = Data(path=str(table(tmp_path / "other.tsv", ROWS[::-1])))
    assert split(one, "valid") == split(other, "valid")[::-1]


def test_a_split_with_a_file_of_its_own_is_not_cut_from_training(tmp_path: Path) -> None:
    train = str(table(tmp_path / "train.tsv"))
    test = str(table(tmp_path / "test.tsv", [Pair("Stop.", "Arrête.")]))
    data = Data(train=train, test=test)
    assert split(data, "test") == [Pair("Stop.", "Arrête.")]
    assert sorted(split(data, "train") + split(data, "valid")) == sorted(ROWS)
    assert split(Data(train=train, valid=test, test=test), "train") == ROWS


# ── what can be wrong with a file ──


def complaint(path: Path, test: str | None = None) -> str:
    with pytest.raises(DataError) as caught:
        split(Data(path=str(path), test=test), "train")
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value.message


def test_a_missing_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    table(tmp_path / "pairs.tsv")
    with pytest.raises(DataError, match=r"did you mean pairs\.tsv") as caught:
        read(tmp_path / "pair.tsv")
    assert caught.value.message == f"{tmp_path / 'pair.tsv'} is not there"
    assert "folder" in complaint(tmp_path / "nowhere" / "pairs.tsv")


def test_a_missing_side_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.en").write_text("Go.\n")
    assert complaint(tmp_path / "corpus") == f"{tmp_path / 'corpus.fr'} is not there"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path} is a folder"


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes(content)
    assert complaint(file) == f"{file} is empty"


def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv.gz"
    file.write_bytes(gzip.compress(b"Go.\tVa !\n" * 1000)[:-20])
    assert complaint(file).startswith(f"{file} cannot be read: ")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be read" in complaint(loop)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Go.\tVa !\nÉté.\tSummer.\n".encode("latin-1"), "line 2: expected UTF-8, found byte 0xc9"),
        ("Go.\tVa !\n".encode("utf-16"), "line 1: expected UTF-8, found byte 0xff"),
        ("Go.\tVa !\n".encode("utf-16-le"), "line 1: expected UTF-8, found byte 0x00"),
    ],
)
def test_another_encoding_is_named_with_its_line(
    tmp_path: Path, content: bytes, found: str
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes(content)
    assert complaint(file).startswith(f"{file}, {found} at offset ")


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("Run! Cours !", "found no tab: 'Run! Cours !'"),
        ("Run!\t", "found an empty side: 'Run!\\t'"),
        ("\tCours !", "found an empty side: '\\tCours !'"),
        ("", "found no tab: ''"),
    ],
)
def test_a_malformed_row_is_named_with_its_line(tmp_path: Path, row: str, found: str) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text(f"Go.\tVa !\n{row}\nStop.\tArrête.\n")
    assert complaint(file) == f"{file}, line 2: expected source TAB target, {found}"


def test_parallel_files_of_unequal_length_are_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.en").write_text("Go.\nRun!\n")
    (tmp_path / "corpus.fr").write_text("Va !\n")
    expected = f"{tmp_path / 'corpus.en'} has 2 lines and {tmp_path / 'corpus.fr'} has 1"
    assert complaint(tmp_path / "corpus") == expected


def test_a_line_without_its_translation_is_named(tmp_path: Path) -> None:
    (tmp_path / "corpus.en").write_text("Go.\nRun!\n")
    (tmp_path / "corpus.fr").write_text("Va !\n \n")
    expected = f"{tmp_path / 'corpus.fr'}, line 2: expected a sentence, found nothing; "
    assert complaint(tmp_path / "corpus") == f"{expected}the other file has 'Run!'"


def test_one_file_and_files_for_splits_together_are_refused(tmp_path: Path) -> None:
    file = table(tmp_path / "pairs.tsv")
    assert "are both given" in complaint(file, test=str(file))


def test_a_corpus_too_small_to_be_cut_is_refused(tmp_path: Path) -> None:
    file = table(tmp_path / "pairs.tsv", ROWS[:2])
    with pytest.raises(DataError, match="too few to cut a valid split"):
        split(Data(path=str(file)), "valid")


def test_evaluation_files_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file for the train split"):
        split(Data(valid=str(table(tmp_path / "pairs.tsv"))), "train")


def test_a_folder_named_as_parallel_files_are_is_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (tmp_path / "corpus.en").write_text("Go.\n")
    (tmp_path / "corpus.fr").write_text("Va !\n")
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.message == f"{folder} is a folder, with corpus.en and corpus.fr beside it"
    (tmp_path / "corpus.fr").unlink()
    with pytest.raises(DataError, match=r"corpus is a folder\n"):
        read(folder)
