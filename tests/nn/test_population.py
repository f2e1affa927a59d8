from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.nn.test_maxent import drawn
from turnaround.nn.energies import every, logits
from turnaround.nn.population import Population, evenly, symmetric


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_sums_over_ways_are_those_counted_one_by_one() -> None:
    h = drawn(5)[0]
    words = every(5, h)
    for fires in range(6):
        some = words[words.sum(1) == fires] @ h
        torch.testing.assert_close(symmetric(h)[0, fires], some.logsumexp(0))


def test_the_first_words_have_their_shares_of_k_and_the_rates_within() -> None:
    rates, shares = torch.tensor([0.1, 0.4, 0.5, 0.2]), torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1])
    words = Population(rates, shares, size=20_000, sweeps=1).words.double()
    torch.testing.assert_close(words.sum(1).long().bincount() / 20_000, shares, atol=1e-4, rtol=0)
    all_ = every(4, rates)
    chances = torch.where(all_ > 0, rates, 1 - rates).prod(1) * (all_.sum(1) == 2)
    wanted = chances @ all_ / chances.sum()
    found = words[words.sum(1) == 2].mean(0)
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)  # three standard errors


def test_words_are_moved_no_more_than_need_be() -> None:
    rates = torch.full((8,), 0.2)
    population = Population(rates, torch.full((9,), 1 / 9), size=5000, sweeps=2)
    near = (rates.logit() + 0.01, torch.zeros(8, 8), torch.zeros(9))
    population.follow(near, least=0.5)
    assert population.moves == 0
    far = drawn(8)
    population.follow((4 * far[0], 4 * far[1], far[2]), least=0.5)
    assert population.moves > 0


def test_log_z_is_kept_from_law_to_law() -> None:
    population = Population(torch.full((8,), 0.2), torch.full((9,), 1 / 9), size=20_000, sweeps=3)
    for seed in range(4):
        terms = drawn(8, seed)
        population.follow(terms, least=0.9)
        log_z, weights = population.seen(terms)
        assert log_z.item() == pytest.approx(logits(terms).logsumexp((0, 1)).item(), abs=0.1)
    assert weights.sum().item() == pytest.approx(1)


def test_as_many_are_taken_as_their_shares_say() -> None:
    rng = torch.Generator().manual_seed(0)
    taken = evenly(torch.tensor([0.5, 0.3, 0.2]).log(), 10, rng)
    assert taken.bincount().tolist() == [5, 3, 2]
