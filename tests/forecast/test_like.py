import math
import random
from typing import Any

import pytest

from turnaround.forecast.like import Known, far, gap, like


def known(cost: float, age: float = 60.0, **knobs: Any) -> Known:
    return Known(knobs, cost, age)


def test_without_any_run_nothing_is_said() -> None:
    assert like([], {"width": 64}) is None


def test_equal_runs_make_it_sure() -> None:
    rng = random.Random(2)
    past = [known(0.01 * rng.lognormvariate(0, 0.05), 9000.0 * n, width=64) for n in range(12)]
    one, many = like(past[:1], {"width": 64}), like(past, {"width": 64})
    assert one is not None
    assert many is not None
    assert many.middle == pytest.approx(0.01, rel=0.1)
    assert many.spread < 0.7 * one.spread


def test_runs_of_other_settings_count_less() -> None:
    past = [known(0.01, width=64), known(0.08, width=512)]
    near, between = like(past, {"width": 64}), like(past, {"width": 180})
    beyond = like(past, {"width": 4096})
    assert near is not None
    assert between is not None
    assert beyond is not None
    assert near.middle == pytest.approx(0.01, rel=0.1)
    assert 0.01 < between.middle < 0.08
    assert near.spread < beyond.spread


def test_the_effect_of_a_knob_is_learnt() -> None:
    past = [known(w / 6400, n * 60.0, width=w) for n, w in enumerate((64, 128, 256) * 3)]
    found = like(past, {"width": 512})
    assert found is not None
    assert 0.05 < found.middle < 0.09  # 0.08 if it goes on so; 0.04 was the dearest so far


def test_far_from_all_there_was_it_says_how_little_it_knows() -> None:
    past = [known(0.01, n * 60.0, width=64) for n in range(12)]
    same, strange = like(past, {"width": 64}), like(past, {"width": 4096, "layout": "ddp"})
    assert same is not None
    assert strange is not None
    assert strange.spread > 5 * same.spread


def test_the_last_minutes_count_more_than_last_week() -> None:
    past = [known(0.02, 10.0 * n, width=64) for n in range(4)]
    past += [known(0.01, 1e6 + 1e5 * n, width=64) for n in range(4)]
    found = like(past, {"width": 64})
    assert found is not None
    assert found.middle > 0.0145  # the geometric mean of all is 0.0141


def test_words_and_truths_differ_by_one_and_numbers_by_their_ratio() -> None:
    one = {"width": 128, "layout": "ddp", "shared": True, "path": None, "seed": 0}
    other = {"width": 64, "layout": "single", "shared": False, "path": None, "seed": 0}
    found = gap(one, other)
    assert found.pop("width") == pytest.approx(0.693, abs=1e-3)
    assert found == {("layout", "ddp"): 1.0, ("shared", "True"): 1.0}
    assert far(gap(one, one)) == 0


def test_numbers_beyond_all_floats_are_as_far_apart_as_they_are() -> None:
    assert gap({"tiny": 1e-200}, {"tiny": 1e200})["tiny"] == pytest.approx(-400 * math.log(10))
    assert gap({"huge": 10**400}, {"huge": 10})["huge"] == pytest.approx(399 * math.log(10))
    assert gap({"endless": math.inf}, {"endless": 10}) == {("endless", "inf"): 1.0}
