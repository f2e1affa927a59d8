from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from turnaround.corpora import rankings, splits
from turnaround.errors import DataError
from turnaround.spec import Data

LOG = "query\tprice\tclick\tshop\na\t1.5\t0\tred\nb\t2\t1\tblue\na\t3\t1\tblue\n"


def file(tmp_path: Path, content: str, name: str = "rank.train") -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def test_sizes_beside_the_rows_make_groups(tmp_path: Path) -> None:
    path = file(tmp_path, "0 1:0.5\n2 0:1\n1 3:2\n")
    file(tmp_path, "1\n2\n", "rank.train.query")
    groups, names = rankings.read(path)
    assert names.numbers == ("f0", "f1", "f2", "f3")
    assert [group.labels.tolist() for group in groups] == [[0], [2, 1]]
    assert groups[1].numbers.tolist() == [[1, 0, 0, 0], [0, 0, 0, 2]]
    assert groups[1].words == [[], []]


def test_so_do_the_queries_of_the_rows(tmp_path: Path) -> None:
    groups, _ = rankings.read(file(tmp_path, "0 qid:7 1:1\n1 qid:7 1:2\n0 qid:3 1:1\n"))
    assert [(group.query, len(group.labels)) for group in groups] == [("7", 2), ("3", 1)]


def test_other_files_have_the_features_of_the_first(tmp_path: Path) -> None:
    _, names = rankings.read(file(tmp_path, "0 qid:1 1:1\n"))
    groups, _ = rankings.read(file(tmp_path, "0 qid:1 0:3 9:1\n"), names)
    assert groups[0].numbers.tolist() == [[3, 0]]


def test_a_click_log_has_numbers_and_words(tmp_path: Path) -> None:
    groups, names = rankings.read(file(tmp_path, LOG))
    assert names == rankings.Names(("price",), ("shop",))
    assert [group.query for group in groups] == ["a", "b"]
    assert groups[0].labels.tolist() == [0, 1]
    assert groups[0].numbers.tolist() == [[1.5], [3]]
    assert groups[0].words == [["red"], ["blue"]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_click_log_is_known_by_its_header(tmp_path: Path, end: str, before: int) -> None:
    path = file(tmp_path, "")
    lines = [""] * before + ["click\tprice\tquery", "1\t0.5\ta", "", "0\t0.2\ta", ""]
    path.write_bytes(end.join(lines).encode())
    ((group,), names) = rankings.read(path)
    assert names == rankings.Names(("price",))
    assert (group.query, group.labels.tolist()) == ("a", [1, 0])


def test_words_are_whole_whatever_is_in_them(tmp_path: Path) -> None:
    words = "red\u2028wine", "red\x0bwine", "red\x85wine"
    rows = "".join(f"a\t0\t{word}\n" for word in words)
    ((group,), _) = rankings.read(file(tmp_path, f"query\tclick\twhat\n{rows}"))
    assert group.words == [[word] for word in words]


def test_what_is_typed_is_a_row_of_what_it_says() -> None:
    group = rankings.typed({"price": "2.5"}, rankings.Names(("size", "price"), ("shop",)))
    assert group.numbers.tolist() == [[0, 2.5]]
    assert group.words == [[""]]


def test_a_group_of_one_file_is_in_one_split(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2} qid:{i // 3} 1:{i}\n" for i in range(300))
    whole = rankings.Rankings(Data(path=str(file(tmp_path, rows))), queries=0)
    parts = [{group.query for group in whole.split(name)} for name in splits.SPLITS]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 100
    assert min(map(len, parts)) > 3


@pytest.mark.parametrize(
    ("rows", "sizes", "message"),
    [
        ("0 1:1", None, "rank.train, line 1: no qid:, and there is no rank.train.query beside it"),
        ("0 1:1\n-1 1:1\n", "2", "rank.train, line 2: expected a label of 0 or more, found -1"),
        ("0 1:1\n", "one", "rank.train.query, line 1: expected the size of a group, found 'one'"),
        (
            "0 1:1\n",
            "1\n\n2",
            "rank.train.query has groups of 3 rows together, rank.train has 1 rows",
        ),
        ("0 1:1\n0 x:1\n", "2", "rank.train, line 2: expected feature:value, found 'x:1'"),
        (LOG.replace("3", "cheap"), None, None),
        (LOG.replace("\t2\t1", "\t2\tyes"), None, "rank.train, line 3: expected a number in column "
         "click, found 'yes'"),
        (LOG + "a\t1\n", None, "rank.train, line 5: expected 4 cells, found 2"),
        (LOG.replace("click", "clicked"), None, "rank.train, line 1: no column click"),
        ("query\tclick\n", None, "rank.train holds no row below its header"),
        ("\nquery\tclick\na\t1\n", None, "rank.train, line 2: no column of a feature"),
        ("\n" + LOG.replace("click", "clicked"), None, "rank.train, line 2: no column click"),
        ("# nothing\n", None, "rank.train holds no row"),
    ],
)  # fmt: skip
def test_what_is_not_so_is_refused_with_file_and_line(
    tmp_path: Path, rows: str, sizes: str | None, message: str | None
) -> None:
    path = file(tmp_path, rows)
    if sizes is not None:
        file(tmp_path, sizes, "rank.train.query")
    if message is None:  # a column with words in it is one of words
        assert rankings.read(path)[1].words == ("price", "shop")
        return
    with pytest.raises(DataError) as caught:
        rankings.read(path)
    assert caught.value.message.replace(f"{tmp_path}/", "") == message


def test_a_word_where_training_had_numbers_is_refused(tmp_path: Path) -> None:
    _, names = rankings.read(file(tmp_path, LOG))
    other = file(tmp_path, LOG.replace("3", "cheap"), "other.tsv")
    message = r"line 4: expected a number in column price, found 'cheap'"
    with pytest.raises(DataError, match=message):
        rankings.read(other, names)


def test_made_up_labels_follow_the_rule() -> None:
    groups = rankings.made(200, seed=0)
    again = rankings.made(200, seed=0)
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(groups, again, strict=True))
    labels = np.concatenate([group.labels for group in groups])
    worth = np.concatenate([rankings.rule(group.numbers, group.words) for group in groups])
    assert set(labels.tolist()) == {0, 1, 2, 3, 4}
    assert np.corrcoef(labels, worth)[0, 1] > 0.8
