from __future__ import annotations

from pathlib import Path

import pytest

from turnaround.corpora.phrases import examples
from turnaround.corpora.trees import Tree, read


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tree]]:
    file = tmp_path_factory.mktemp("trees") / "trees.mrg"
    found = {}
    for split in ("train", "valid", "test"):
        file.write_text("\n".join(examples(split, 500)), encoding="utf-8")
        found[split] = read(file)
    return found


def test_the_same_trees_come_each_time() -> None:
    assert examples("train", 20) == examples("train", 20)
    assert examples("train", 20) != examples("train", 20, seed=1)


def test_every_tree_is_read_back(parsed: dict[str, list[Tree]]) -> None:
    assert [len(found) for found in parsed.values()] == [500, 500, 500]


def test_no_sentence_is_in_two_splits_or_twice(parsed: dict[str, list[Tree]]) -> None:
    sentences = [tree.words for found in parsed.values() for tree in found]
    assert len(set(sentences)) == len(sentences)


def test_a_phrase_belongs_to_what_its_preposition_says(parsed: dict[str, list[Tree]]) -> None:
    for tree in parsed["train"]:
        inside = {(span.start, span.end): span.label for span in tree.spans}
        for label, start, end in tree.spans:
            if label == "PP":
                around = [s for s in inside if s[0] <= start and s[1] >= end and s != (start, end)]
                smallest = min(around, key=lambda s: s[1] - s[0])
                of_noun = tree.words[start] in ("of", "near", "behind")
                assert (inside[smallest] == "NP") == of_noun


def test_all_words_of_the_held_out_sentences_are_known(parsed: dict[str, list[Tree]]) -> None:
    known = {word for found in parsed.values() for tree in found for word in tree.words}
    assert len(known) < 200


def test_a_file_of_them_is_a_treebank(tmp_path: Path) -> None:
    (tmp_path / "one.mrg").write_text(examples("test", 1)[0], encoding="utf-8")
    (tree,) = read(tmp_path / "one.mrg")
    assert tree.words[-1] == "."
    assert tree.spans[1].label == "S"
