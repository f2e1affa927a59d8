from __future__ import annotations

import math

import torch

from turnaround.engine import Furthest, Mean, Typical
from turnaround.engine.metrics import Perplexity


def test_means_add_sums_and_counts() -> None:
    assert (Mean.of(3.0, 1) + Mean.of(torch.tensor(5.0), torch.tensor(3))).compute() == 2.0


def test_a_sum_of_means_keeps_its_graph() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    total = Mean.of(3 * weight, 2) + Mean.of(weight * weight, 1)
    total.sum.backward()
    assert weight.grad == torch.tensor(7.0)
    assert not total.values.requires_grad


def test_counts_are_exact_where_sums_are_not() -> None:
    half = Mean.of(torch.tensor(1.0, dtype=torch.bfloat16), torch.tensor(257))
    assert half.count.item() == 257


def test_a_mean_of_nothing_is_no_number() -> None:
    assert math.isnan(Mean.of(0.0, 0).compute())


def test_a_perplexity_beyond_all_floats_is_infinite() -> None:
    assert Perplexity.of(2 * 709.0, 2).compute() == math.exp(709)
    assert Perplexity.of(2e4, 2).compute() == math.inf
    assert math.isnan(Perplexity.of(math.nan, 2).compute())


def test_the_gradients_of_added_means_are_divided_by_all_that_was_counted() -> None:
    weight = torch.tensor(1.0, requires_grad=True)
    (Mean.of(6 * weight, 2) + Mean.of(4 * weight, 3)).divided().backward()
    assert weight.grad is not None
    assert weight.grad.item() == 2.0


def test_differences_of_shares_are_those_of_all_that_was_counted() -> None:
    expected = torch.tensor([0.5, 0.5])
    for kind, found in ((Furthest, 0.25), (Typical, 0.25)):
        one = kind.of(torch.tensor([3.0, 0.0]), expected, 3)
        other = kind.of(torch.tensor([0.0, 1.0]), expected, 1)
        assert (one + other).compute() == found
    assert Furthest.of(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.9]), 1).compute() < 0.11
    assert Typical.of(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]), 1).compute() == 0.5**0.5
