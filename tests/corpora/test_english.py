from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from turnaround.corpora.english import Accountant, Dice, tell


def test_the_same_split_is_told_alike_and_the_others_are_not() -> None:
    assert tell("train", 50) == tell("train", 50)
    assert tell("train", 100).text.startswith(tell("train", 50).text)
    assert len({tell(split, 50).text for split in ("train", "valid", "test")}) == 3
    assert tell("train", 50, seed=1) != tell("train", 50)


def test_a_line_is_a_sentence() -> None:
    lines = tell("train", 200).text.splitlines()
    assert len(lines) == 200
    assert all(line[0].isupper() and line[-1] in ".?" for line in lines)


def test_its_entropy_is_known() -> None:
    told = tell("train", 5000)
    assert told.nats / len(told.text) == pytest.approx(0.566, abs=0.005)


@pytest.mark.slow
def test_sentences_are_as_frequent_as_their_probability_says() -> None:
    count, dice = 60_000, Dice("frequency")
    seen: Counter[str] = Counter()
    expected: dict[str, float] = {}
    for _ in range(count):
        before = dice.nats
        sentence, _ = Accountant(dice).sentence()
        seen[sentence] += 1
        expected[sentence] = count * math.exp(before - dice.nats)
    likely = [sentence for sentence in expected if expected[sentence] > 1.5]
    found, wanted = (sum(of[s] for s in likely) for of in (seen, expected))
    # A few likely ones were never said, so that those that were stand for a little too much.
    assert found == pytest.approx(wanted, rel=0.3)
    assert wanted > 1000


def test_the_account_changes_no_choice() -> None:
    dice, plain = Dice("0"), random.Random("0")
    assert [dice.choice("abcdef") for _ in range(20)] == [plain.choice("abcdef") for _ in range(20)]
    assert dice.nats == pytest.approx(20 * math.log(6))
