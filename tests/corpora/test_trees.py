from __future__ import annotations

import os
from pathlib import Path

import pytest

from turnaround.corpora.trees import Span, Tree, agreement, line, read, shown, spans, typed
from turnaround.errors import DataError

SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = SHARED / "parsing"
HE = "(ROOT (S (NP-SBJ (PRP He))\n  (VP (VBZ sleeps)) (. .)))"
SPANS = (Span("ROOT", 0, 3), Span("S", 0, 3), Span("NP", 0, 1), Span("VP", 1, 2))
LINE = "(ROOT (S (NP XX )NP (VP XX )VP XX )S )ROOT"


def trees(tmp_path: Path, content: str) -> list[Tree]:
    file = tmp_path / "trees.mrg"
    file.write_text(content, encoding="utf-8")
    return read(file)


def test_trees_are_read_whatever_their_lines(tmp_path: Path) -> None:
    many = trees(tmp_path, f"{HE}\n\n{' '.join(HE.split())}{HE}")
    assert many == [Tree(("He", "sleeps", "."), ("PRP", "VBZ", "."), SPANS)] * 3


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000", "\u2028"])
def test_a_space_that_does_not_break_is_part_of_a_word_that_it_is_in(
    tmp_path: Path, space: str
) -> None:
    word = f"10{space}000"
    (tree,) = trees(tmp_path, f"(S{space}(CD {word})\n(NNS{space}men){space}(. .){space})")
    assert tree.words == (word, "men", ".")
    assert tree.tags == ("CD", "NNS", ".")
    assert typed(f" {word}  men\t.{space}\n") == list(tree.words)
    assert typed(f" {space}") == []


@pytest.mark.parametrize("outer", ["", "TOP", "S1"])
def test_the_outermost_bracket_is_the_root_whatever_it_is_called(
    tmp_path: Path, outer: str
) -> None:
    (tree,) = trees(tmp_path, HE.replace("ROOT", outer))
    assert tree.spans == SPANS


def test_a_root_is_added_where_there_is_none(tmp_path: Path) -> None:
    (tree,) = trees(tmp_path, HE.removeprefix("(ROOT ").removesuffix(")"))
    assert tree.spans == SPANS


def test_traces_and_what_holds_nothing_else_are_left_out(tmp_path: Path) -> None:
    content = "(S (NP-SBJ-1 (-NONE- *)) (VP (VB go) (S=2 (NP (-NONE- *T*)))) (-LRB- -LRB-))"
    (tree,) = trees(tmp_path, f"{content} (S (-NONE- 0))")
    assert tree.words == ("go", "-LRB-")
    assert tree.tags == ("VB", "-LRB-")
    assert tree.spans == (Span("ROOT", 0, 2), Span("S", 0, 2), Span("VP", 0, 1))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"{HE}\n\n{HE})", "line 5: ')' is in no tree"),
        (f"{HE}\n(S (NP (PRP He))\n{HE}", "line 3: the tree that begins here is never closed"),
        (f"{HE}\nwords\n{HE}", "line 3: 'words' is in no tree"),
        ("(S (NP (PRP He))\n(VP))", "line 2: (VP) has nothing in it"),
        ("(S (NP (PRP He)\nhimself))", "line 2: 'himself' has no tag of its own"),
        ("(S (NP (PRP He himself)))", "line 1: 'himself' has no tag of its own"),
        ("(S (NP the\n(NN king)))", "line 2: 'the' has no tag of its own"),
    ],
)
def test_what_is_no_tree_is_told_with_its_file_and_line(
    tmp_path: Path, content: str, found: str
) -> None:
    with pytest.raises(DataError) as caught:
        trees(tmp_path, content)
    assert caught.value.message == f"{tmp_path / 'trees.mrg'}, {found}"


def test_a_file_of_nothing_but_traces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no tree"):
        trees(tmp_path, "(S (-NONE- *))")


def test_a_line_is_the_tree_again(tmp_path: Path) -> None:
    (tree,) = trees(tmp_path, HE)
    assert line(tree) == LINE
    assert spans(LINE, 3) == SPANS
    assert shown(LINE, tree.words) == "(ROOT (S (NP He) (VP sleeps) .))"


@pytest.mark.parametrize(
    "written",
    [
        "",
        LINE.removesuffix(" )ROOT"),
        f"{LINE} )ROOT",
        f"{LINE} {LINE}",
        LINE.replace(")NP", ")VP"),
        LINE.replace("(NP XX )NP", "(NP )NP XX"),
        LINE.replace("(VP XX )VP", "(VP XX XX )VP"),
        LINE.replace("ROOT", "S"),
        LINE.replace("XX", "<unk>", 1),
    ],
)
def test_what_is_no_tree_of_so_many_words_is_none(written: str) -> None:
    assert spans(written, 3) is None


def test_brackets_are_counted_without_root_and_punctuation() -> None:
    tree = Tree(("He", "gave", "up", "."), ("PRP", "VBD", "RP", "."), ())
    gold = tree._replace(spans=(Span("ROOT", 0, 4), Span("S", 0, 4), Span("PRT", 2, 3)))
    assert agreement(gold, gold.spans) == (2, 2, 2)
    assert agreement(gold, [Span("S", 0, 3), Span("ADVP", 2, 4)]) == (2, 2, 2)
    assert agreement(gold, [Span("S", 0, 4), Span("S", 0, 3), Span("NP", 3, 4)]) == (1, 2, 2)
    assert agreement(gold, []) == (0, 0, 2)


def test_real_trees_are_lines_and_back() -> None:
    if not REAL.is_dir():
        pytest.skip(f"no treebank in {REAL}")
    for file in sorted(REAL.glob("*.dev.ptb")):
        for tree in read(file):
            assert spans(line(tree), len(tree.words)) == tree.spans
