from __future__ import annotations

import random
import re
import subprocess
import sys
import zlib

import pytest

from turnaround.corpora.english_french import HELD_OUT, examples
from turnaround.corpora.grammar import Grammar


def test_the_same_seed_says_the_same_in_another_process() -> None:
    program = "from turnaround.corpora.english_french import examples; print(examples('valid', 20))"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == str(examples("valid", 20))
    assert examples("valid", 20, seed=1) != examples("valid", 20)


def test_a_longer_corpus_begins_with_the_shorter_one() -> None:
    assert examples("train", 300)[:100] == examples("train", 100)


SIZES = {"train": 5000, "valid": 300, "test": 300}


def test_thousands_of_sentences_are_distinct_and_in_one_split_only() -> None:
    splits = [{pair.source for pair in examples(s, n)} for s, n in SIZES.items()]
    assert [len(split) for split in splits] == list(SIZES.values())
    assert len(set.union(*splits)) == sum(SIZES.values())


def test_what_is_held_out_is_never_shown_in_training() -> None:
    held = 0
    rng = random.Random(0)
    for _ in range(2000):
        grammar = Grammar(rng)
        grammar.sentence()
        held += any(zlib.crc32(pair.encode()) % HELD_OUT == 0 for pair in grammar.pairs)
    assert 100 < held < 600  # of 2,000: enough for valid and test, not too many for training


@pytest.mark.parametrize("clauses", [1, 3])
def test_each_sentence_has_one_translation_and_is_written_properly(clauses: int) -> None:
    pairs = examples("train", 3000, clauses=clauses)
    for english, french in pairs:
        assert english[0].isupper()
        assert french[0].isupper()
        assert re.search(r"\w[.?]$", english)
        assert re.search(r"\w(\.|\u202f\?)$", french)
        assert "  " not in english + french
        assert not re.search(r"\b(le|la|de|que|ne|je|me) [aeiouéêâîœ]", french)
        assert not re.search(r"\b(de|à) les? (?![aeiouéêâîœh])", french)
        assert not re.search(r"\ba [aeiou]|\ban [^aeioAEIO]", english)


def test_long_sentences_have_as_many_clauses_as_are_asked_for() -> None:
    def words(clauses: int) -> float:
        return sum(len(p.source.split()) for p in examples("train", 500, clauses=clauses)) / 500

    assert words(3) > 2.5 * words(1)
