"""The noise scale that counts for a way on which it changes."""

from __future__ import annotations

import random

import pytest

from turnaround.forecast.share import MEMORY, Heard

BATCH = 16


def way(scales: list[float], each: int, every: int = 1, noise: float = 0.0) -> Heard:
    """`each` measurements of every scale, of a gradient that is shorter where there is more."""
    heard, sums, count = Heard(BATCH, every), [0.0, 0.0], 0
    drawn = random.Random(0)
    for scale in scales:
        for _ in range(each):
            keep = 1 - 1 / MEMORY if count >= MEMORY else 1.0
            more = 1 + noise * drawn.uniform(-1, 1)
            sums = [keep * sums[0] + more, keep * sums[1] + 1 / scale]
            count += 1
            if count % 5 == 0:
                weight = min(count, MEMORY)
                heard.add(count * every, sums[0] / weight, sums[1] / weight)
    return heard


def test_a_scale_that_stays_is_what_counts() -> None:
    found = way([40.0], 100).scale()
    assert found is not None
    assert found.low == pytest.approx(40) == found.high


def test_another_batch_takes_the_sum_of_what_its_steps_take() -> None:
    scales = [2.0, 10.0, 50.0, 250.0]
    found = way(scales, 50, every=3).scale()
    assert found is not None
    for batch in (4, 32, 1000):
        true = sum((1 + s / batch) / (1 + s / BATCH) for s in scales) / len(scales)
        assert (1 + found.middle / batch) / (1 + found.middle / BATCH) == pytest.approx(true)


def test_what_comes_later_does_not_count() -> None:
    heard = way([10.0, 1000.0], 100)
    early = heard.scale(until=100)
    assert early is not None
    assert early.middle == pytest.approx(10)
    assert heard.scale(until=3) is None


def test_the_first_measurement_is_that_of_the_first_interval() -> None:
    """Gradients that shrink, at one scale: a measurement too many would be one more of the last."""
    heard, sums = Heard(64, 20), [0.0, 0.0]
    for count in range(1, 31):
        sums = [sums[0] + 64 / count, sums[1] + 1 / count]
        heard.add(20 * count, sums[0] / count, sums[1] / count)
    assert [one.steps for one in heard.stretches] == [20] * 30
    found = heard.scale()
    assert found is not None
    assert found.low == pytest.approx(64) == found.high


def test_memory_that_fades_is_made_up_for() -> None:
    found = way([10.0, 90.0], 2000).scale()
    assert found is not None
    share = (10 / 26 + 90 / 106) / 2
    assert found.middle == pytest.approx(BATCH * share / (1 - share), rel=1e-3)


def test_chance_makes_it_unsure() -> None:
    ends = [way([40.0], 100, noise=noise).scale() for noise in (0.1, 0.5)]
    mild, wild = (end.high - end.low for end in ends if end)
    assert 0 < mild < wild


def test_an_attempt_that_says_it_again_is_not_counted_twice() -> None:
    heard = way([10.0], 50)
    before = list(heard.stretches)
    heard.add(20, 1.0, 0.01)
    assert heard.stretches == before


def test_where_all_of_a_gradient_is_noise_it_is_said_to_be_large() -> None:
    heard = Heard(BATCH, 1)
    for count in range(1, 6):
        heard.add(count, 1.0, -0.001)
    found = heard.scale()
    assert found is not None
    assert found.middle == pytest.approx(49 * BATCH)
