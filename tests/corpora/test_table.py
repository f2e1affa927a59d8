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


@pytest.mark.parametrize("first", ["# made by me", "# a,b", "# of a:b, c:d", "0", "-1 # x", ""])
def test_so_are_those_below_a_comment_or_a_row_of_zeros(tmp_path: Path, first: str) -> None:
    read = table.read(file(tmp_path, f"{first}\n1 1:2 2:3 # x\n0 1:1\n"))
    assert read.labels[-2:] == ["1", "0"]
    assert read.values[-2:].tolist() == [[0, 2, 3], [0, 1, 0]]


@pytest.mark.parametrize("between", [",", "\t"])
def test_a_header_that_begins_like_a_comment_is_one(tmp_path: Path, between: str) -> None:
    read = table.read(file(tmp_path, "#a,when\n1,2:30\n".replace(",", between)))
    assert (read.names, read.labels) == (["#a"], ["2:30"])


def test_labels_of_many_digits_are_told_apart(tmp_path: Path) -> None:
    written = ["1", "-0.5", "1e+06", "123456", "1234567", "1234568", "0.1234567", "1e-07"]
    read = table.read(file(tmp_path, "".join(f"{label} 1:1\n" for label in written)))
    assert read.labels == written


def test_cells_are_whole_whatever_is_in_them(tmp_path: Path) -> None:
    cells = "x\u2028y", "x\x85y", "x\x0by", '"x\ny"', "z"
    read = table.read(file(tmp_path, "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))))
    assert read.labels == [cell.strip('"') for cell in cells]


def test_rows_below_a_cell_with_another_separator_keep_their_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3: expected a number in column a, found 'two'"):
        table.read(file(tmp_path, "a,b\n1,x\u2028y\ntwo,z\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way(tmp_path: Path, end: str) -> None:
    path = file(tmp_path, "")
    path.write_bytes(end.join(["a,b", "1,x", "", "2,y", ""]).encode())
    read = table.read(path)
    assert (read.labels, read.values.tolist()) == (["x", "y"], [[1], [2]])


@pytest.mark.parametrize(
    ("content", "label", "message"),
    [
        (",,\n", None, "holds no row of features and a label"),
        ("# a:b\n", None, "holds no row"),
        ('a,b\n1,x\n2,"x\n' + "1,x\n" * 40000, None, "line 3: field larger than field limit"),
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


# ── like another ──


TRAINING = "a,b,kind\n1,2,x\n3,4,y\n"


def alike(tmp_path: Path, content: str, training: str = TRAINING) -> table.Table:
    like = table.read(file(tmp_path, training))
    return table.read(file(tmp_path, content), like=like)


@pytest.mark.parametrize(
    "content",
    [
        "b,a,kind\n6,5,x\n",
        "kind,a,b\nx,5,6\n",
        "id,b,a,kind\nno number,6,5,x\n",
        "a , b,sort\n5,6,x\n",  # the labels are in the last column, whatever its name
        "5,6,x\n",
    ],
)
def test_columns_are_those_of_the_training_file(tmp_path: Path, content: str) -> None:
    read = alike(tmp_path, content)
    assert read.values.tolist() == [[5, 6]]
    assert read.labels == ["x"]


def test_columns_of_one_name_keep_their_order(tmp_path: Path) -> None:
    read = alike(tmp_path, "b,a,a,a\n6,5,7,x\n", "a,a,b,a\n1,2,3,x\n")
    assert read.values.tolist() == [[5, 7, 6]]
    assert read.labels == ["x"]


@pytest.mark.parametrize(
    ("content", "training", "message"),
    [
        ("a,c,kind\n5,6,x\n", TRAINING, "line 1: no column b"),
        ("\na,b\n5,6\n", TRAINING, "line 2: no column kind"),
        ("5,6,7,x\n", TRAINING, "line 1: expected 3 cells, found 4"),
        ("5,x\n", TRAINING, "line 1: expected 3 cells, found 2"),
        ("a,b,c,kind\n5,6,7,x\n", "1,2,x\n", "line 1: expected 3 cells, found 4"),
        ("5,6,7,x\n", "1,2,x\n", "line 1: expected 3 cells, found 4"),
        ("5,6,1\n", "1 0:1 1:2 2:3\n", "line 1: expected 4 cells, found 3"),
    ],
)
def test_other_columns_are_refused(
    tmp_path: Path, content: str, training: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        alike(tmp_path, content, training)
    assert caught.value.message == f"{tmp_path / 'rows'}, {message}"


def test_sparse_rows_have_the_features_of_the_training_file(tmp_path: Path) -> None:
    training = "1 0:1 2:3\n"
    assert alike(tmp_path, "1 1:5\n", training).values.tolist() == [[0, 5, 0]]
    assert alike(tmp_path, "1 1:5 9:1\n", training).values.tolist() == [[0, 5, 0]]


# ── splits of one file ──


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
    assert splits.tenths(times, "valid", cut, "") == [8, 18]
    assert splits.tenths(times, "test", cut, "") == [9, 19]
    assert len(splits.tenths(times, "train", cut, "")) == 21
    assert splits.tenths(times, "test", ("test",), "") == [8, 18]
    assert splits.tenths(times, "test", (), "") == times


def test_too_little_time_to_cut_a_split_from_is_said() -> None:
    assert splits.tenths(list(range(9)), "valid", splits.HELD_OUT, "") == [8]
    with pytest.raises(DataError, match="9 stretches of time are too few to cut a test") as caught:
        splits.tenths(list(range(9)), "test", splits.HELD_OUT, "wait longer")
    assert caught.value.hint == "wait longer, or data.test=… a file of its own"
