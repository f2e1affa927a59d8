from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.trials import trial_plan
from turnaround.engine.data import Feed, Order, Rising, moved
from turnaround.engine.recipe import Endless
from turnaround.engine.world import World
from turnaround.errors import DataError
from turnaround.spec import Data, Update

CPU = torch.device("cpu")


class Numbers:
    """A recipe of numbers, each as long as it is large."""

    def __init__(self, count: int = 20) -> None:
        self.count = count

    def data(self, split: str) -> range:
        return range(self.count)

    def collate(self, examples: list[int]) -> list[int]:
        return examples

    def length(self, example: int) -> int:
        return example


def order(count: int = 20, seed: int = 0, batch: int = 4, bucket: int = 1) -> Order:
    return Order(count, seed, batch, bucket, length=lambda number: number)


def feed(part: int = 0, parts: int = 1, count: int = 20, **changes: Any) -> Feed:
    plan = replace(trial_plan(data=Data(batch=6)), **changes)
    return Feed(Numbers(count), plan, World(CPU), (part, parts))


@pytest.mark.parametrize("bucket", [1, 5])
def test_every_example_is_seen_once_an_epoch(bucket: int) -> None:
    numbers = order(bucket=bucket).take(0, 60)
    for epoch in (numbers[:20], numbers[20:40], numbers[40:]):
        assert sorted(epoch) == list(range(20))


def test_epochs_are_shuffled_differently_and_so_are_seeds() -> None:
    first, second = order().take(0, 20), order().take(20, 20)
    assert first != second
    assert first != order(seed=1).take(0, 20)


@pytest.mark.parametrize("bucket", [1, 3])
@pytest.mark.parametrize("count", [3, 20, 21])
def test_what_stands_at_a_place_does_not_depend_on_what_was_taken_before(
    count: int, bucket: int
) -> None:
    whole = order(count, bucket=bucket).take(0, 100)
    for start in range(0, 90, 7):
        assert order(count, bucket=bucket).take(start, 9) == whole[start : start + 9]


@pytest.mark.parametrize("bucket", [1, 4])
def test_what_never_ends_is_taken_in_order_and_never_twice(bucket: int) -> None:
    made = Endless(lambda number: -number)
    taken = [
        number
        for start in range(0, 800, 8)
        for number in order(len(made), 0, 8, bucket).take(start, 8)
    ]
    assert sorted(taken) == list(range(800))
    assert [made[number] for number in taken[:3]] == [-number for number in taken[:3]]


def test_neighbours_in_a_bucket_are_about_equally_long() -> None:
    numbers = order(count=1000, batch=10, bucket=20).take(0, 200)
    spans = [max(numbers[i : i + 10]) - min(numbers[i : i + 10]) for i in range(0, 200, 10)]
    assert max(spans) < 150  # of 1000; without buckets about 820


@pytest.mark.parametrize("bucket", [1, 3])
def test_sortagrad_goes_from_short_to_long_once_and_then_on_as_without(bucket: int) -> None:
    rising = Rising(21, 0, 4, bucket, lambda number: -number)
    usual = Order(21, 0, 4, bucket, lambda number: -number)
    assert rising.take(0, 21) == list(reversed(range(21)))
    assert rising.take(21, 60) == usual.take(0, 60)
    whole = rising.take(0, 90)
    for start in range(0, 80, 7):
        assert rising.take(start, 9) == whole[start : start + 9]


def test_sortagrad_is_a_knob_of_the_data_and_wants_an_end() -> None:
    sorted_first = Data(batch=6, sortagrad=True)
    assert feed(data=sorted_first).numbers(6) == [6, 7, 8, 9, 10, 11]
    with pytest.raises(DataError, match="these examples never end"):
        feed(count=len(Endless(str)), data=sorted_first).numbers(0)


def test_ranks_share_a_batch_without_gap_or_double() -> None:
    whole = feed().numbers(12)
    shares = [piece.batch for rank in range(4) for piece in feed(rank, 4).pieces(12)]
    assert Counter(n for share in shares for n in share) == Counter(whole)
    assert [len(share) for share in shares] == [2, 2, 1, 1]


def test_two_ranks_make_the_pieces_of_one_that_accumulates_twice() -> None:
    (first,), (second,) = feed(0, 2).pieces(6), feed(1, 2).pieces(6)
    pieces = list(feed(update=Update(accumulate=2)).pieces(6))
    assert [piece.batch for piece in pieces] == [first.batch, second.batch]
    assert [piece.last for piece in pieces] == [False, True]
    assert (first.last, second.last) == (True, True)


def test_a_batch_that_grew_is_made_of_whole_ones_each_cut_as_before() -> None:
    grown = [piece.batch for piece in feed(update=Update(accumulate=2)).pieces(6, times=2)]
    assert len(grown) == 4
    assert {len(piece) for piece in grown} == {3}
    alone = [next(feed().pieces(start)).batch for start in (6, 12)]
    assert sorted(sum(grown, [])) == sorted(sum(alone, []))  # noqa: RUF017  # of four short lists
    assert feed().numbers(6, times=2) == feed().numbers(6) + feed().numbers(12)


def test_the_same_examples_come_in_batches_of_another_size() -> None:
    first = feed()
    next(first.pieces(0))
    assert feed(data=Data(batch=9)).numbers(0) == first.resized(9).numbers(0)
    assert first.resized(9).split("train") is first.split("train")
    assert first.size == 6


def test_ranks_share_a_split_without_gap_or_double() -> None:
    for ranks in (1, 2, 3, 25):
        seen = [n for rank in range(ranks) for b in feed(rank, ranks).batches("valid") for n in b]
        assert sorted(seen) == list(range(20))


def test_an_evaluation_puts_like_lengths_together_and_holds_no_more_than_training() -> None:
    batches = list(feed().batches("valid"))
    assert batches[0] == [19, 18, 17, 16, 15, 14]
    assert max(len(batch) for batch in feed(0, 2).batches("valid")) == 3


def test_a_limited_evaluation_looks_all_over_the_split() -> None:
    assert sorted(n for batch in feed().batches("valid", limit=5) for n in batch) == [
        0,
        4,
        8,
        12,
        16,
    ]
    assert feed().some("test", 100) == list(range(20))
    assert feed(count=0).some("test", 3) == []


def test_training_on_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="the train split has no examples"):
        next(feed(count=0).pieces(0))


def test_a_step_may_see_all_there_are_so_many_at_a_time() -> None:
    data = Data(batch=6, whole=True)
    whole = feed(data=data)
    assert whole.size == 20
    for start in (0, 20):
        pieces = [piece.batch for piece in whole.pieces(start)]
        assert [len(piece) for piece in pieces] == [5, 5, 5, 5]
        assert sorted(i for piece in pieces for i in piece) == list(range(20))
    halves = [feed(part, 2, data=data) for part in (0, 1)]
    seen = [piece.batch for half in halves for piece in half.pieces(0)]
    assert max(map(len, seen)) == 3
    assert sorted(i for piece in seen for i in piece) == list(range(20))
    assert feed(data=Data(batch=50, whole=True)).whole


def test_all_there_are_must_be_enough_and_have_an_end() -> None:
    with pytest.raises(DataError, match="3 training examples cannot be cut in 4"):
        feed(count=3, data=Data(batch=6, whole=True), update=Update(accumulate=4))
    with pytest.raises(DataError, match="these examples never end"):
        feed(count=Endless.COUNT, data=Data(whole=True))


def test_what_is_drawn_with_a_piece_follows_from_its_place_and_number() -> None:
    def drawn(rank: int, ranks: int, update: Update) -> list[tuple[float, float]]:
        pieces = feed(rank, ranks, update=update).pieces(6)
        return [(torch.rand(()).item(), random.random()) for _ in pieces]

    alone = drawn(0, 1, Update(accumulate=2))
    assert alone == drawn(0, 2, Update()) + drawn(1, 2, Update())
    assert len(set(alone)) == 2


def test_the_epoch_counts_corpora_seen() -> None:
    assert feed().epoch(30) == 1.5


@dataclass(frozen=True)
class Pair:
    left: Tensor
    right: tuple[Tensor, list[Tensor]]
    text: str = "kept"


def test_moving_a_batch_changes_the_type_of_floating_point_numbers_only() -> None:
    whole, part = torch.tensor([1, 2]), torch.tensor([1.0, 2.0])
    batch = moved({"a": Pair(whole, (part, [whole]))}, CPU, torch.float64)["a"]
    assert batch.left.dtype == torch.int64
    assert batch.right[0].dtype == torch.float64
    assert batch.right[1][0].dtype == torch.int64
    assert batch.text == "kept"
