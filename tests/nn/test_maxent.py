from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
import torch

from turnaround.nn import energies
from turnaround.nn.energies import Terms, counts, descent, energy, every, logits, number, sweep
from turnaround.nn.maxent import Maxent


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def drawn(cells: int, seed: int = 0) -> Terms:
    """Some terms: rates of a third, couplings of both signs."""
    rng = torch.Generator().manual_seed(seed)
    couplings = torch.randn(cells, cells, generator=rng).triu(1) / 2
    potential = torch.randn(cells + 1, generator=rng) / 2
    potential[:3] = 0
    return torch.randn(cells, generator=rng) - 1, couplings, potential


def model(terms: Terms, exact: int = 20, size: int = 2000) -> Maxent:
    """With these terms."""
    h, couplings, potential = terms
    made = Maxent(h.sigmoid(), "k-pairwise", exact, size, sweeps=2)
    made.begin(torch.ones(1, len(h)))
    row, column = torch.triu_indices(len(h), len(h), 1)
    assert made.j is not None
    assert made.v is not None
    made.h.data.copy_(h)
    made.j.data.copy_(couplings[row, column])
    made.v.data.copy_(potential[3:])
    return made


def by_hand(word: tuple[int, ...], terms: Terms) -> float:
    h, couplings, potential = terms
    fields = sum(float(h[i]) for i, cell in enumerate(word) if cell)
    pairs = itertools.combinations([i for i, cell in enumerate(word) if cell], 2)
    return -fields - sum(float(couplings[i, j]) for i, j in pairs) - float(potential[sum(word)])


def test_energies_and_log_z_are_those_counted_by_hand() -> None:
    terms = drawn(5)
    words = list(itertools.product((0, 1), repeat=5))
    energies = torch.tensor([by_hand(word, terms) for word in words])
    assert every(5, terms[0]).tolist() == [list(map(float, word)) for word in words]
    torch.testing.assert_close(energy(torch.tensor(words).double(), terms), energies)
    torch.testing.assert_close(-logits(terms).flatten(), energies)
    _, log_z, _ = model(terms)(torch.zeros(1, 5))
    torch.testing.assert_close(log_z, (-energies).logsumexp(0))


@pytest.mark.parametrize("kind", ["independent", "pairwise", "k-pairwise"])
def test_each_kind_has_its_terms(kind: str) -> None:
    made = Maxent(torch.full((6,), 0.2), kind, 20, 1, 1)
    free = {"independent": 6, "pairwise": 21, "k-pairwise": 25}  # N, N(N−1)/2 and N−2 together
    assert sum(parameter.numel() for parameter in made.parameters()) == free[kind]
    _, log_z, _ = made(torch.zeros(1, 6))
    assert log_z.item() == pytest.approx(-6 * math.log(0.8))  # before it learns it is independent


def test_the_gradient_is_the_difference_of_moments() -> None:
    made, words = model(drawn(5)), torch.tensor([[1.0, 1, 1, 0, 0], [0, 0, 1, 0, 1]])
    energies, log_z, _ = made(words)
    (energies.mean() + log_z).backward()
    population, shares = made.population
    torch.testing.assert_close(made.h.grad, shares @ population - words.mean(0))
    _, by_count, _ = made.moments
    seen, _ = counts(words, torch.full((2,), 0.5))
    assert made.v is not None
    torch.testing.assert_close(made.v.grad, (by_count - seen)[3:])


def test_triplets_and_counts_are_those_counted_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(energies, "HELD", 60)  # a few words at a time
    words = (torch.rand(50, 5, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    shares = torch.rand(50)
    by_count, threes = counts(words, shares)
    rows = list(zip(words.tolist(), shares.tolist(), strict=True))
    assert by_count.tolist() == pytest.approx(
        [sum(share for word, share in rows if sum(word) == k) for k in range(6)]
    )
    wanted = [
        sum(share for word, share in rows if word[i] and word[j] and word[k])
        for i, j, k in itertools.combinations(range(5), 3)
    ]
    assert threes.tolist() == pytest.approx(wanted)


def test_sweeps_leave_the_law_as_it_is() -> None:
    terms = drawn(6)
    _, by_count, threes = model(terms).moments
    words, rng = torch.zeros(20_000, 6), torch.Generator().manual_seed(1)
    for _ in range(30):
        sweep(words, terms, rng)
    seen, triples = counts(words, torch.full((20_000,), 1 / 20_000))
    torch.testing.assert_close(seen, by_count, atol=0.012, rtol=0)  # three standard errors
    torch.testing.assert_close(triples, threes, atol=0.012, rtol=0)


def test_log_z_of_new_words_is_near_what_is_counted() -> None:
    terms = drawn(10)
    counted = logits(terms).logsumexp((0, 1)).item()
    with torch.no_grad():
        estimate = model(terms, exact=0, size=20_000).eval().judged[0].item()
    assert estimate == pytest.approx(counted, abs=0.03)


def test_words_that_were_drawn_have_the_moments_of_the_law() -> None:
    terms = drawn(6)
    sampled, counted = model(terms, exact=0, size=20_000).eval(), model(terms)
    with torch.no_grad():
        for mine, theirs in zip(sampled.moments, counted.moments, strict=True):
            torch.testing.assert_close(mine, theirs, atol=0.03, rtol=0)


def test_the_gradient_of_what_words_say_is_that_of_log_z() -> None:
    terms = drawn(6)
    made, counted = model(terms, exact=0, size=20_000), model(terms)
    made(torch.zeros(1, 6))[1].backward()
    counted(torch.zeros(1, 6))[1].backward()
    assert made.h.grad is not None
    torch.testing.assert_close(made.h.grad, counted.h.grad, atol=0.02, rtol=0)


def test_the_same_place_has_the_same_log_z_whatever_the_global_seed() -> None:
    def told(seed: int) -> float:
        torch.manual_seed(seed)
        made = model(drawn(6), exact=0, size=500)
        return [made(torch.zeros(1, 6))[1].item() for _ in range(2)][-1]

    assert told(0) == told(1)


def test_what_is_kept_is_forgotten_when_training_goes_on() -> None:
    made = model(drawn(5)).eval()
    before = made.moments[0].item()
    made.h.data += 1
    assert made.moments[0].item() == before
    made.train().eval()
    assert made.moments[0].item() != before


def test_a_descent_ends_where_no_single_flip_lowers_the_energy() -> None:
    terms = drawn(8, seed=3)
    words = every(8, terms[0])
    ends = descent(words, terms)
    low = energy(ends, terms)
    assert (low <= energy(words, terms) + 1e-9).all()
    for cell in range(8):
        flipped = ends.clone()
        flipped[:, cell] = 1 - flipped[:, cell]
        assert (energy(flipped, terms) >= low - 1e-9).all()


def test_the_independent_model_is_that_of_the_rates() -> None:
    rates = torch.tensor([0.1, 0.4, 0.5])
    words = every(3, rates)
    nll, entropy = Maxent(rates, "pairwise", 20, 1, 1).independent(words)
    chances = torch.where(words > 0, rates, 1 - rates).prod(1)
    torch.testing.assert_close(nll, -chances.log())
    torch.testing.assert_close(entropy, -(chances * chances.log()).sum())


def test_it_begins_with_the_distribution_of_k_that_the_words_have() -> None:
    words = (torch.rand(500, 5, generator=torch.Generator().manual_seed(0)) < 0.3).double()
    words[:250] = 0
    made = Maxent(words.mean(0), "k-pairwise", 20, 1, 1)
    made.begin(words)
    by_count, _ = counts(words, torch.full((500,), 1 / 500))
    torch.testing.assert_close(made.moments[1], by_count, atol=0.002, rtol=0)  # of K never seen


def test_every_word_has_its_number() -> None:
    assert number(every(4, torch.empty(0))).tolist() == list(range(16))
