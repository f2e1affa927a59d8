import math
import random

import pytest

from turnaround.forecast.guess import Guess, both, normal, quantile, total


def test_four_of_five_draws_lie_in_the_interval() -> None:
    guess, rng = Guess(30.0, 0.4), random.Random(1)
    interval = guess.interval()
    draws = [30.0 * math.exp(0.4 * rng.gauss(0, 1)) for _ in range(4000)]
    assert sum(draw in interval for draw in draws) / 4000 == pytest.approx(0.8, abs=0.02)


def test_what_is_left_is_never_below_nothing_and_never_promised() -> None:
    guess = Guess(30.0, 0.2)
    for passed in (0.0, 10.0, 29.0, 40.0, 300.0):
        left = guess.after(passed)
        assert 0 <= left.low <= left.middle <= left.high
    assert guess.after(10.0).middle == pytest.approx(20.0, rel=0.01)
    assert 0 < guess.after(40.0).middle < 10


def test_what_is_certain_counts_down() -> None:
    assert Guess(30.0, 0.0).after(12.0).high == 18.0
    assert Guess(0.0, 0.5).after(1.0).high == 0.0


def test_parts_of_one_run_are_late_together() -> None:
    whole = total([Guess(10.0, 0.2), Guess(10.0, 0.2)])
    assert whole.middle == 20.0
    assert 0.2 / math.sqrt(2) < whole.spread < 0.2


def test_the_surer_of_two_guesses_counts_more() -> None:
    found = both(Guess(10.0, 0.1), Guess(20.0, 0.5))
    assert 10 < found.middle < 11
    assert found.spread < 0.1


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_quantile_is_the_inverse_of_the_normal(share: float) -> None:
    assert normal(quantile(share)) == pytest.approx(share)
    assert quantile(0.9) == pytest.approx(1.2816, abs=1e-4)


def test_an_interval_can_be_made_a_guess_again() -> None:
    again = Guess(30.0, 0.3).interval().guess()
    assert (again.middle, again.spread) == pytest.approx((30.0, 0.3))
