"""The estimator, on a problem whose noise scale is known: linear regression on normal inputs.

With x ~ N(0, I), y = w*·x + s·ξ and e = w − w*: G = e and tr Σ = (d + 1)|e|² + s² d.
"""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from turnaround.engine.noise import Estimate, doubts, shared

WIDTH = 50
SETTINGS = [
    (ranks, part, noise) for ranks, part in ((8, 8), (2, 16), (2, 64)) for noise in (0, 1, 3.335)
]


def norms(
    ranks: int, part: int, noise: float, seed: int, steps: int = 1
) -> list[tuple[float, float]]:
    """For each step squared norms of the mean gradient over a rank's examples, and over all."""
    rng = torch.Generator().manual_seed(seed)
    error = torch.ones(WIDTH) / math.sqrt(WIDTH)  # of length 1
    inputs = torch.randn(steps, ranks, part, WIDTH, generator=rng)
    residual = inputs @ error + noise * torch.randn(steps, ranks, part, generator=rng)
    gradients = (inputs * residual.unsqueeze(3)).mean(2)
    small, large = gradients.square().sum(2).mean(1), gradients.mean(1).square().sum(1)
    return list(zip(small.tolist(), large.tolist(), strict=True))


def truth(noise: float) -> float:
    return WIDTH + 1 + noise**2 * WIDTH


def estimated(ranks: int, part: int, noise: float, seed: int, error: float = 0.05) -> Estimate:
    """Measured until it says of itself that it is good enough."""
    found = Estimate(horizon=math.inf)
    for block in range(1000):
        for small, large in norms(ranks, part, noise, seed * 1000 + block, steps=50):
            found.add(small, large, part, ranks * part)
        if found.error <= error:
            return found
    raise AssertionError(f"still {found.error}")


@pytest.mark.parametrize(("ranks", "part", "noise"), SETTINGS)
def test_it_comes_within_fifteen_percent_of_the_truth(ranks: int, part: int, noise: float) -> None:
    found = estimated(ranks, part, noise, seed=1)
    assert found.scale == pytest.approx(truth(noise), rel=0.15)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_seeds_are_right_on_average_and_their_intervals_hold_the_truth() -> None:
    held = []
    for ranks, part, noise in SETTINGS:
        found = [estimated(ranks, part, noise, seed) for seed in range(50)]
        mean = statistics.mean(estimate.scale for estimate in found)
        intervals = [estimate.interval() for estimate in found]
        held.append(sum(i is not None and i[0] <= truth(noise) <= i[1] for i in intervals))
        print(
            (ranks, part, noise), f"{mean:.1f} for {truth(noise):.1f}, {held[-1]} of 50 intervals"
        )
        assert mean == pytest.approx(truth(noise), rel=0.05)
        assert held[-1] >= 40
    assert 0.80 <= sum(held) / (50 * len(SETTINGS)) <= 0.98


@pytest.mark.parametrize(
    ("parts", "size", "trace"),
    [
        ([32], 64, 400.0),
        ([32], 63, 400.0),
        ([13], 50, 600.0),
        ([3], 5, 5.0),
        ([2], 6, 5.0),
        ([3, 2], 5, 5.0),
        ([9, 9, 8], 50, 600.0),
    ],
    ids=str,
)
def test_parts_of_any_size_come_near_the_truth(parts: list[int], size: int, trace: float) -> None:
    """Each reader's sum over its part, by the share of the whole that stands for those parts."""
    rng, found = torch.Generator().manual_seed(0), Estimate(horizon=math.inf)
    share, part = shared(parts, size)
    for _ in range(4000):
        drawn = math.sqrt(trace / WIDTH) * torch.randn(size, WIDTH, generator=rng)
        drawn[:, 0] += 1  # the gradient
        heard = drawn.split([*parts, size - sum(parts)])[: len(parts)]
        small = statistics.fmean(float(own.sum(0).square().sum()) for own in heard)
        large = float(drawn.mean(0).square().sum())
        found.add(small / (size * share) ** 2, large, part, size)
    assert found.scale == pytest.approx(trace, rel=0.15)


@pytest.mark.parametrize(("pieces", "size"), [(2, 64), (3, 63), (49, 49), (7, 700)])
def test_equal_parts_stand_for_themselves_bit_by_bit(pieces: int, size: int) -> None:
    assert shared([size // pieces] * pieces, size) == (1 / pieces, 1 / pieces * size)


def test_the_mean_of_ratios_would_be_wrong() -> None:
    ratios = []
    for small, large in norms(2, 16, 3.335, 0, steps=2000):
        one = Estimate()
        one.add(small, large, 16, 32)
        ratios.append(one.trace / one.square)
    assert abs(statistics.mean(ratios) / truth(3.335) - 1) > 0.15


def test_what_is_too_uncertain_has_no_interval_and_says_how_much_is_missing() -> None:
    found = Estimate()
    assert math.isnan(found.scale)
    assert found.interval() is None
    for small, large in norms(2, 4, 3.335, 0, steps=10):
        found.add(small, large, 4, 8)
    assert found.interval() is None
    better = Estimate()
    for small, large in norms(8, 8, 1, 0, steps=400):
        better.add(small, large, 8, 64)
    missing = better.wanting(better.error / 2)
    assert missing == pytest.approx(3 * 400)
    assert better.wanting(1.0) == 0


def test_old_measurements_are_forgotten_beyond_the_horizon() -> None:
    found = Estimate(horizon=50)
    for trace in (10.0, 1000.0):
        for _ in range(500):
            found.add(1 + trace / 8, 1 + trace / 64, 8, 64)
    assert found.scale == pytest.approx(1000, rel=0.01)
    assert found.count == pytest.approx(99, rel=0.05)


def test_numbers_that_are_not_finite_are_left_out() -> None:
    found = Estimate()
    found.add(math.nan, 1.0, 8, 64)
    found.add(math.inf, 1.0, 8, 64)
    assert found.count == 0


def test_the_least_scale_is_known_where_the_gradient_may_be_zero() -> None:
    sure = estimated(2, 16, 1.0, seed=3)
    ends = sure.interval()
    assert ends is not None
    assert sure.least() == pytest.approx(ends[0])
    found = Estimate()
    for small, large in norms(2, 16, 30.0, 1, steps=40):  # the scale is 45,051
        found.add(small, large, 16, 32)
    assert found.interval() is None
    assert 32 < found.least() < truth(30.0)
    assert Estimate().least() == 0


def test_a_spread_that_may_be_below_zero_is_no_scale() -> None:
    found = Estimate()
    for small, large in ((1.0, 1.1), (1.0, 1.2), (1.0, 0.95)):
        found.add(small, large, 16, 32)
    assert found.trace < 0
    assert math.isnan(found.scale)
    assert math.isinf(found.error)


def test_batch_normalisation_is_doubted() -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.LayerNorm(2))
    assert list(doubts(plain)) == []
    (said,) = doubts(torch.nn.Sequential(plain, torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)))
    assert said.startswith("batch normalisation (1) mixes the examples of a micro-batch")
