from __future__ import annotations

import zlib

import torch
from torch import nn

from turnaround.nn.features import Additive, account, binned, edges, hashed, seats, shares, standard

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
