"""The estimator, on a problem whose noise scale is known: linear regression on normal inputs.

With x ~ N(0, I), y = w*·x + s·ξ and e = w − w*: G = e and tr Σ = (d + 1)|e|² + s² d.
"""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from turnaround.engine.noise import Estimate

WIDTH = 50
SETTINGS = [
    (ranks, part, noise) for ranks, part in ((8, 8), (2, 16), (2, 64)) for noise in (0, 1, 3.335)
]


def norms(ranks: int, part: int, noise: float, seed: int) -> tuple[float, float]:
    """Squared norms of the mean gradient over a rank's examples (their mean), and over all."""
    rng = torch.Generator().manual_seed(seed)
    error = torch.ones(WIDTH) / math.sqrt(WIDTH)  # of length 1
    inputs = torch.randn(ranks, part, WIDTH, generator=rng)
    residual = inputs @ error + noise * torch.randn(ranks, part, generator=rng)
    gradients = (inputs * residual.unsqueeze(2)).mean(1)
    return gradients.square().sum(1).mean().item(), gradients.mean(0).square().sum().item()


def truth(noise: float) -> float:
    return WIDTH + 1 + noise**2 * WIDTH


def estimated(ranks: int, part: int, noise: float, seed: int, error: float = 0.05) -> Estimate:
    """Measured until it says of itself that it is good enough."""
    found = Estimate(horizon=math.inf)
    step = 0
    while found.count < 20 or found.error > error:
        found.add(*norms(ranks, part, noise, seed * 1_000_000 + step), part, ranks * part)
        step += 1
        assert step < 100_000
    return found


@pytest.mark.parametrize(("ranks", "part", "noise"), SETTINGS)
def test_it_comes_within_fifteen_percent_of_the_truth(ranks: int, part: int, noise: float) -> None:
    found = estimated(ranks, part, noise, seed=1)
    assert found.scale == pytest.approx(truth(noise), rel=0.15)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("ranks", "part", "noise"), SETTINGS)
def test_fifty_seeds_are_right_on_average_and_their_intervals_hold_the_truth(
    ranks: int, part: int, noise: float
) -> None:
    found = [estimated(ranks, part, noise, seed) for seed in range(50)]
    intervals = [estimate.interval() for estimate in found]
    held = sum(i is not None and i[0] <= truth(noise) <= i[1] for i in intervals)
    assert statistics.mean(e.scale for e in found) == pytest.approx(truth(noise), rel=0.05)
    assert 0.80 <= held / 50 <= 0.98 + 0.01


def test_the_mean_of_ratios_would_be_wrong() -> None:
    ratios = []
    for step in range(2000):
        one = Estimate()
        one.add(*norms(2, 16, 3.335, step), 16, 32)
        ratios.append(one.trace / one.square)
    assert abs(statistics.mean(ratios) / truth(3.335) - 1) > 0.15


def test_what_is_too_uncertain_has_no_interval_and_says_how_much_is_missing() -> None:
    found = Estimate()
    assert math.isnan(found.scale)
    assert found.interval() is None
    for step in range(10):
        found.add(*norms(2, 4, 3.335, step), 4, 8)
    assert found.interval() is None
    better = Estimate()
    for step in range(400):
        better.add(*norms(8, 8, 1, step), 8, 64)
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
