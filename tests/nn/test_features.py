from __future__ import annotations

import zlib

import pytest
import torch
from torch import nn

from turnaround.nn.features import (
    Additive,
    account,
    binned,
    edges,
    hashed,
    quantiles,
    seats,
    shares,
    standard,
)

SEEN = torch.tensor([[0.0, 3.0, 0.0], [1.0, 3.0, 0.0], [2.0, 3.0, 0.0], [3.0, 3.0, 0.0]])


def test_what_never_changes_is_not_divided_by_zero() -> None:
    mean, spread = standard(SEEN)
    assert mean.tolist() == [1.5, 3.0, 0.0]
    assert torch.allclose(spread, torch.tensor([1.25**0.5, 1.0, 1.0]))


def test_bins_are_alike_full_and_zero_has_one_of_its_own() -> None:
    limits = edges(SEEN, bins=3)
    assert limits.shape == (3, 2)
    assert binned(SEEN, limits)[:, 0].tolist() == [0, 1, 2, 3]
    assert binned(SEEN, limits)[:, 2].tolist() == [0, 0, 0, 0]
    never = torch.tensor([[0.0, 3.0, 5.0]])  # its last column has no bins but the first
    assert binned(never, limits)[0, 2] == 1


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_limits_are_quantiles_to_the_bit(kind: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(0)
    for count in (1, 2, 3, 10, 1001, 65537):
        values = torch.randn(count, generator=rng, dtype=kind)
        for bins in (2, 3, 8, 100):
            shares = torch.arange(1, bins, dtype=kind) / bins
            assert torch.equal(quantiles(values, shares), values.quantile(shares))


def test_limits_are_of_as_many_numbers_as_there_are() -> None:
    assert edges(torch.ones(2**24 + 1, 1), bins=4).tolist() == [[1.0, 1.0, 1.0]]


def test_there_may_be_words_alone() -> None:
    nothing = torch.zeros(2, 0)
    assert edges(nothing, bins=3).shape == (0, 2)
    assert seats([], bins=3, rows=50).shape == (0, 4)
    model = Additive(nothing, [], 3, nn.Embedding(50, 1 + 2))
    words = hashed(["shop", "colour"], [["old", "red"], ["new", "red"]], 50)
    assert model.parts(nothing, words).shape == (2, 2)


def test_bins_and_words_are_named_by_their_feature() -> None:
    places = seats(["size", "age"], bins=2, rows=1000)
    assert places.shape == (2, 3)
    assert places[1, 2] == zlib.crc32(b"age 2") % 1000
    words = hashed(["shop", "colour"], [["old", "red"], ["new", "red"]], 1000)
    assert words[0, 1] == words[1, 1] == zlib.crc32(b"colour red") % 1000
    assert words[0, 0] != words[1, 0]
    assert hashed([], [[], []], 1000).shape == (2, 0)


def test_shares_add_up_to_the_products_of_all_pairs() -> None:
    vectors = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    pairs = (vectors @ vectors.T).triu(1)
    torch.testing.assert_close(shares(vectors).sum(), pairs.sum())
    torch.testing.assert_close(shares(vectors)[2], (pairs[:, 2].sum() + pairs[2].sum()) / 2)


def test_outputs_are_the_sums_of_their_parts_and_start_without_any_but_pairs() -> None:
    model = Additive(SEEN, ["a", "b", "c"], 3, nn.Embedding(50, 1 + 2)).double()
    words = hashed(["shop"], [["red"]] * 4, 50)
    torch.testing.assert_close(model(SEEN.double(), words), model.parts(SEEN, words).sum(-1))
    alone = Additive(SEEN, ["a", "b", "c"], 3, nn.Embedding(50, 1))
    assert not alone(SEEN, words).any()
    alone.slope.data[0] = 2.0
    assert alone(SEEN, words).tolist() == (2 * (SEEN[:, 0] - 1.5) / 1.25**0.5).tolist()


def test_the_heaviest_parts_are_named_and_what_does_nothing_is_not() -> None:
    parts = torch.tensor([0.25, -1.0, 0.0, 2.0])
    assert account(parts, ["a", "b", "c", "d"], 2) == "1.25 = d +2.00 b -1.00 others +0.25"
    assert account(parts, ["a", "b", "c", "d"], 4).endswith("a +0.25 others +0.00")
