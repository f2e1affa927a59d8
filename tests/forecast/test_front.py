"""Points and prices: what a batch and a number of devices would come to."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from turnaround.forecast.front import ADAPTED, Known, best, front, point, undominated
from turnaround.forecast.guess import Interval
from turnaround.forecast.throughput import Law

FREE = Law(0.0, 0.001, 0.0, 0.0, 0.0, 0.0, overlap=1.0)  # 1 ms an example, and nothing besides
REAL = Law(0.004, 0.001, 0.003, 0.001, 0.02, 0.01, overlap=2.0)
KNOWN = Known(batch=32, steps=1000, scale=Interval(80, 96, 120), lr=0.1)


def test_steps_and_examples_follow_the_hyperbola() -> None:
    least = KNOWN.steps / (1 + 96 / 32)
    for batch in (1, 8, 32, 96, 1000, 100_000):
        steps = KNOWN.needed(batch, 96)
        examples, fewest = batch * steps, 96 * least
        assert (steps / least - 1) * (examples / fewest - 1) == pytest.approx(1)
    assert KNOWN.needed(96, 96) == pytest.approx(2 * least)
    assert KNOWN.needed(1e12, 96) * KNOWN.ceiling == pytest.approx(KNOWN.steps)


def test_the_learning_rate_follows_the_batch() -> None:
    assert KNOWN.rate(32) == pytest.approx(0.1)
    assert KNOWN.rate(96) == pytest.approx(0.2)
    assert KNOWN.rate(10**9) == pytest.approx(0.4)
    adam = Known(32, 1000, KNOWN.scale, 0.1, "adam")
    critical = ADAPTED * 96
    assert adam.rate(96) == pytest.approx(
        0.1 * math.sqrt((1 + critical / 32) / (1 + critical / 96))
    )


def test_without_overheads_the_smallest_batch_on_all_devices_is_best() -> None:
    points = front(KNOWN, FREE, [1, 2, 4, 8], [32, 64, 128, 256])
    assert points == [point(KNOWN, FREE, 8, 32)]


def test_with_overheads_who_wants_to_be_faster_pays_more() -> None:
    points = front(KNOWN, REAL, [1, 2, 4, 8], [32, 64, 128, 256])
    assert len(points) > 3
    assert [p.devices for p in points] == sorted((p.devices for p in points), reverse=True)


def test_a_point_that_is_beaten_in_both_is_not_on_the_front() -> None:
    points = [point(KNOWN, REAL, d, b) for d in (1, 2, 4) for b in (32, 64, 512)]
    kept = undominated(points)
    for one in points:
        beaten = any(
            other.seconds.middle <= one.seconds.middle
            and other.device_seconds <= one.device_seconds
            and other != one
            for other in points
        )
        assert (one in kept) != beaten


def test_what_does_not_fit_is_accumulated() -> None:
    large = point(KNOWN, REAL, 2, 256, most=32)
    assert large.accumulate == 4
    assert "update.accumulate=4 layout=ddp layout.replicate=2" in large.words("ddp", "replicate")
    whole = point(KNOWN, REAL, 2, 256)
    assert whole.accumulate == 1
    assert whole.seconds.middle < large.seconds.middle


def test_the_best_is_the_cheapest_of_the_nearly_fastest() -> None:
    points = front(KNOWN, REAL, [1, 2, 4, 8], [32, 64, 128, 256, 512])
    chosen = best(points)
    assert chosen is not None
    assert chosen.seconds.middle <= 1.05 * points[0].seconds.middle
    cheap = best(points, cost=points[-1].device_seconds * 1.01)
    assert cheap == points[-1]
    assert best(points, cost=0.001) is None


def test_a_deadline_takes_the_cheapest_that_surely_meets_it() -> None:
    points = front(KNOWN, REAL, [1, 2, 4, 8], [32, 64, 128, 256, 512])
    limit = points[1].seconds.high
    chosen = best(points, within=limit)
    assert chosen is not None
    assert chosen.seconds.high <= limit
    cheaper = [p for p in points if p.device_seconds < chosen.device_seconds]
    assert all(p.seconds.high > limit for p in cheaper)
    assert best(points, within=0.001) is None


def test_the_further_the_batch_the_wider_the_interval() -> None:
    here, near, far = (point(KNOWN, FREE, 1, batch).seconds for batch in (32, 64, 512))
    assert 1.2 < here.high / here.low < 1.6  # runs of one question differ, and so do seconds
    assert here.high / here.low < near.high / near.low < far.high / far.low
    sure = replace(KNOWN, scale=Interval(96, 96, 96))
    surer = point(sure, FREE, 1, 512).seconds
    assert surer.high / surer.low < far.high / far.low


def test_where_the_gradient_may_be_zero_the_noise_scale_is_doubted() -> None:
    vague = replace(KNOWN, scale=Interval(0, 96, 120))
    assert vague.critical.spread > KNOWN.critical.spread
    assert vague.takes(512).spread > KNOWN.takes(512).spread


def test_a_schedule_is_stretched_as_the_steps_are() -> None:
    scheduled = replace(KNOWN, whole=2000, warmup=100, every=50)
    found = point(scheduled, FREE, 1, 96)
    assert found.steps == pytest.approx(500)
    words = found.words("ddp", "replicate")
    assert "budget.steps=1000 " in words
    assert "optim.warmup=50 evaluate.every=25" in words
    alone = point(KNOWN, FREE, 1, 96).words("ddp", "replicate")
    assert "budget.steps=500 " in alone
    assert "warmup" not in alone


def test_a_warm_up_in_which_there_is_no_noise_yet_stays_as_long_as_it_was() -> None:
    scheduled = replace(KNOWN, whole=2000, warmup=100)
    quiet = point(replace(scheduled, early=0.0), FREE, 1, 96)
    assert (quiet.budget, quiet.warmup) == (1000, 100)
    assert point(replace(scheduled, early=32.0), FREE, 1, 96).warmup == 67


def test_looks_are_part_of_the_time_and_shared_by_devices() -> None:
    looking = replace(KNOWN, looking=3.0)
    for devices in (1, 2):
        with_, without = (point(known, FREE, devices, 64) for known in (looking, KNOWN))
        more = with_.seconds.middle - without.seconds.middle
        assert more == pytest.approx(3.0 / devices)


def test_looks_in_larger_batches_take_less_of_what_each_batch_costs() -> None:
    looking = replace(KNOWN, looking=60.0, held=8)
    told = point(looking, REAL, 1, 32).seconds.middle - point(KNOWN, REAL, 1, 32).seconds.middle
    assert told == pytest.approx(60 * (0.004 / 32 + 0.001) / (0.004 / 8 + 0.001))


def test_runs_with_several_batches_say_what_the_critical_batch_is() -> None:
    true = 400.0  # the noise scale says 96
    ways = {batch: 100 * (1 + true / batch) for batch in (32, 128, 512)}
    found = replace(KNOWN, ways=ways)
    assert found.critical.middle == pytest.approx(true, rel=0.15)
    assert found.critical.spread < KNOWN.critical.spread / 2
    assert found.takes(256).spread < KNOWN.takes(256).spread
    alone = replace(KNOWN, ways={32: 1000.0})
    assert alone.critical == KNOWN.critical


def test_runs_that_fit_no_law_do_not_make_nonsense() -> None:
    for ways in ({32: 100.0, 128: 300.0}, {32: 1000.0, 128: 1.0}):  # slower; faster than it can be
        found = replace(KNOWN, ways=ways).critical
        assert 1 < found.middle < 100_000
        assert found.spread > 0
