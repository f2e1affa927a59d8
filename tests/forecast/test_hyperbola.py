"""Steps and examples to a target, on a problem whose noise scale is known and stays: eq. 5.1.

Linear regression without noise in the targets, x ~ N(0, I): the scale is d + 1 all along, and as
the Hessian is I, simple and true scale are one. The law holds for small steps: a tenth of the best.
"""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import least_squares

from turnaround.forecast.front import Known
from turnaround.forecast.guess import Interval

WIDTH, SCALE = 50, 51.0
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
SEEDS = 16384  # over the batch: a product at the ends needs steps to 0.1 %
GOAL = 0.05  # of the loss at the start


def steps(batch: int, share: float) -> float:
    """Until the mean loss of all seeds is there, at a share of the best learning rate."""
    rng = torch.Generator().manual_seed(batch)
    seeds = max(16, SEEDS // batch)
    error = torch.ones(seeds, WIDTH, 1) / math.sqrt(WIDTH)
    rate, before, step = share / (1 + SCALE / batch), 1.0, 0
    while True:
        step += 1
        inputs = torch.randn(seeds, batch, WIDTH, generator=rng)
        error = error - rate * inputs.mT @ (inputs @ error) / batch
        now = error.square().sum(1).mean().item()
        if now <= GOAL:  # between two steps, by a line in the logarithm
            return step - 1 + math.log(before / GOAL) / math.log(before / now)
        before = now


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_small_steps_follow_the_hyperbola_and_its_fit_finds_the_scale() -> None:
    taken = {batch: steps(batch, 0.1) for batch in BATCHES}

    def off(x: list[float]) -> list[float]:
        least, critical = math.exp(x[0]), math.exp(x[1])
        return [math.log(least * (1 + critical / b) / s) for b, s in taken.items()]

    least, critical = (math.exp(x) for x in least_squares(off, [3.0, 3.0]).x)
    fewest = least * critical
    products = {b: (s / least - 1) * (b * s / fewest - 1) for b, s in taken.items()}
    print({"steps": taken, "products": products, "critical": critical})
    assert all(0.9 <= product <= 1.1 for b, product in products.items())
    assert critical == pytest.approx(SCALE, rel=0.15)
    known = Known(64, taken[64], Interval(SCALE, SCALE, SCALE), lr=0.1)
    for batch in (32 * 4, 64 * 4):
        assert known.needed(batch, SCALE) == pytest.approx(steps(batch, 0.1), rel=0.1)


@pytest.mark.slow
def test_large_steps_do_not() -> None:
    taken = {batch: steps(batch, 1.0) for batch in BATCHES}
    least = taken[4096]
    fewest = least * SCALE
    product = (taken[256] / least - 1) * (256 * taken[256] / fewest - 1)
    assert not 0.9 <= product <= 1.1
