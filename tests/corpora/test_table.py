from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from turnaround.corpora import libsvm, splits, table
from turnaround.errors import DataError
from turnaround.spec import Data


def file(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "rows"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_a_header_names_the_features(tmp_path: Path, between: str) -> None:
    content = "kind,long,wide\nred,1,2.5\n\nblue,3,-4e1\n".replace(",", between)
    read = table.read(file(tmp_path, content), label="kind")
    assert read.labels == ["red", "blue"]
    assert read.names == ["long", "wide"]
    assert read.values.tolist() == [[1.0, 2.5], [3.0, -40.0]]


def test_without_a_header_the_last_column_is_the_label(tmp_path: Path) -> None:
    read = table.read(file(tmp_path, '1,2,"a, or b"\r\n3,4,c\r\n'))
    assert read.labels == ["a, or b", "c"]
    assert read.names == ["1", "2"]


def test_rows_of_libsvm_are_known_by_their_looks(tmp_path: Path) -> None:
    read = table.read(file(tmp_path, "+1 1:0.5 3:2 # first\n-1 2:1\n"))
    assert read.labels == ["1", "-1"]
    assert read.values.tolist() == [[0, 0.5, 0, 2], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        ("a,b\n1,\n", None, "line 2: no label in column b"),
        ("a,b\n,x\n", None, "line 2: expected a number in column a, found ''"),
        ("a,b\n1,x\n\nnan,x\n", None, "line 4: expected a number in column a, found 'nan'"),
        ("a,b\n1,x\n1,2,x\n", None, "line 3: expected 2 cells, found 3"),
        ("a,b\n1,x\n", "c", "line 1: no column c"),
        ("a,b\n", None, "holds no row of features and a label"),
    ],
)
def test_a_row_that_is_not_so_is_named(
    tmp_path: Path, content: str, label: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        table.read(file(tmp_path, content), label)


def test_each_row_of_one_file_is_in_one_split_whatever_stands_beside_it(tmp_path: Path) -> None:
    rows = [f"{i},{i % 7},{'ab'[i % 2]}" for i in range(200)]
    parts = {}
    for order in (rows, rows[::-1]):
        data = Data(path=str(file(tmp_path, "\n".join(["one,other,kind", *order, ""]))))
        found = [table.split(data, name, "kind") for name in splits.SPLITS]
        assert sum(len(part.labels) for part in found) == len(rows)
        assert all(len(part.labels) == len(part.values) > 5 for part in found)
        parts[order is rows] = [sorted(part.values[:, 0]) for part in found]
    assert parts[True] == parts[False]


# ── libsvm ──


def test_a_row_has_its_label_features_and_query(tmp_path: Path) -> None:
    first, second = libsvm.read(file(tmp_path, "2 qid:7 0:0.5 10:1\n\n0\n"))
    assert (first.label, first.query, first.line) == (2.0, "7", 1)
    assert first.features.tolist() == [0, 10]
    assert first.values.tolist() == [0.5, 1.0]
    assert (second.query, second.line, len(second.features)) == (None, 3, 0)
    assert libsvm.dense([first, second], 4).tolist() == [[0.5, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("x 1:2", "'x'"),
        ("1 1:2 3", "'3'"),
        ("1 a:2", "'a:2'"),
        ("1 1:2 3:", "'3:'"),
        ("1 1:1 99999999999999999999:1", "'99999999999999999999:1'"),
        ("1 -1:1 1:1", "'features that do not rise'"),
        ("1 2:1 1:1", "'features that do not rise'"),
        ("1 2:inf", "'a number that is not finite'"),
    ],
)
def test_a_row_of_another_form_is_refused_with_file_and_line(
    tmp_path: Path, row: str, found: str
) -> None:
    path = file(tmp_path, f"1 1:1\n{row}\n")
    with pytest.raises(DataError) as caught:
        libsvm.read(path)
    assert caught.value.message == f"{path}, line 2: expected feature:value, found {found}"


def test_a_file_of_comments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no row"):
        libsvm.read(file(tmp_path, "# nothing\n\n"))


# ── splits ──


def test_a_split_with_a_file_of_its_own_is_all_of_it() -> None:
    data = Data(train="a", valid="b")
    assert splits.chosen(data, "valid") == (Path("b"), ())
    assert splits.chosen(data, "train") == (Path("a"), ("test",))
    assert splits.chosen(data, "test") == (Path("a"), ("test",))


def test_one_file_and_one_of_a_split_are_refused() -> None:
    with pytest.raises(DataError, match=r"data\.path=a and data\.test=b are both given"):
        splits.chosen(Data(path="a", test="b"), "train")


def test_every_example_is_in_one_split_wherever_it_stands() -> None:
    items = [str(i) for i in range(1000)]
    cut = splits.HELD_OUT
    parts = {name: splits.kept(items, items, name, cut) for name in ("train", *cut)}
    assert sorted(itertools.chain(*parts.values())) == sorted(items)
    assert all(70 < len(parts[name]) < 130 for name in cut)
    back = items[::-1]
    assert splits.kept(back, back, "valid", cut) == parts["valid"][::-1]
    assert np.array_equal(splits.kept(items, items, "train", ()), items)


def test_too_few_to_cut_a_split_from_is_said() -> None:
    with pytest.raises(DataError, match="1 examples are too few to cut a valid split from"):
        splits.kept(["one"], ["one"], "valid", splits.HELD_OUT)


def test_a_batch_of_more_than_there_is_to_learn_is_refused() -> None:
    assert splits.whole(Data(batch=3), ["a", "b", "c"], "rows") == ["a", "b", "c"]
    assert splits.whole(Data(batch=3, whole=True), ["a", "b"], "rows") == ["a", "b"]
    with pytest.raises(DataError, match=r"data\.batch=3 is more than the 2 rows") as caught:
        splits.whole(Data(batch=3), ["a", "b"], "rows")
    assert caught.value.hint == "data.batch=all shows every step all of them"


def test_data_are_given_when_any_file_is() -> None:
    assert not splits.given(Data())
    assert splits.given(Data(path="a"))
    assert splits.given(Data(test="a"))


def test_of_what_follows_in_time_the_last_of_each_ten_are_held_out() -> None:
    times, cut = list(range(25)), splits.HELD_OUT
    assert splits.tenths(times, "valid", cut) == [8, 18]
    assert splits.tenths(times, "test", cut) == [9, 19]
    assert len(splits.tenths(times, "train", cut)) == 21
    assert splits.tenths(times, "test", ("test",)) == [8, 18]
    assert splits.tenths(times, "test", ()) == times
