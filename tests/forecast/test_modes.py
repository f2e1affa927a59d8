"""Which update is chosen, from seconds of steps and of an agreement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from turnaround.forecast.modes import ALONE, AVERAGING, Choice, Mode, Rank, choose

SHARE, WHOLE = 0.1, 0.4  # seconds of a step on a share of a batch, and on all of it


def rank(seconds: float = SHARE, agree: float = 0.0, exchange: float = 0.0) -> Rank:
    """One that takes as long for an example, wherever it stands."""
    return Rank([seconds] * 12, seconds / SHARE * (WHOLE - SHARE), agree, exchange)


def delayed(*, mean: float) -> Rank:
    """One whose steps begin with a delay that is exponential, near enough."""
    quantiles = [0.04, 0.14, 0.24, 0.35, 0.47, 0.6, 0.76, 0.95, 1.18, 1.49, 1.97, 3.18]
    return replace(rank(), seconds=[SHARE + mean * q for q in quantiles])


def of(choice: Choice, name: str) -> Mode:
    return next(mode for mode in choice.modes if mode.name == name)


def test_equal_devices_stay_in_step() -> None:
    choice = choose([rank()] * 4)
    assert choice.best.name == "sync"
    assert choice.best.seconds == pytest.approx(SHARE)
    assert choice.best.together is None


def test_a_straggler_is_not_waited_for() -> None:
    choice = choose([rank()] * 3 + [rank(10 * SHARE)])
    assert of(choice, "sync").seconds == pytest.approx(10 * SHARE)
    assert choice.best.name == "backup"
    assert choice.best.settings == {"spares": 1}
    assert choice.best.seconds == pytest.approx(SHARE * 4 / 3)
    assert "because rank 3 is 10 × slower" in of(choice, "sync").why


def test_slow_links_are_used_seldom() -> None:
    choice = choose([rank(agree=0.5, exchange=1.0)] * 4)
    assert choice.best.name == "local"
    assert choice.best.settings == AVERAGING


def test_random_delays_are_not_waited_for_together() -> None:
    choice = choose([delayed(mean=0.3)] * 4)
    assert choice.best.name == "async"
    # the greatest of four exponential delays has a mean of (1 + 1/2 + 1/3 + 1/4) times theirs
    assert of(choice, "sync").seconds == pytest.approx(SHARE + 0.3 * 25 / 12, rel=0.1)


def test_the_exact_update_wins_where_another_promises_little_more() -> None:
    slightly = [rank()] * 3 + [rank(1.38 * SHARE)]
    choice = choose(slightly, ["sync", "backup"])
    assert of(choice, "backup").seconds < of(choice, "sync").seconds
    assert choice.best.name == "sync"


def test_only_what_can_be_had_is_chosen() -> None:
    ranks = [rank()] * 3 + [rank(10 * SHARE)]
    assert choose(ranks, ["sync"]).best.name == "sync"
    assert {mode.name for mode in choose([rank()] * 3).modes} == {
        "sync",
        "backup",
        "local",
        "async",
    }  # three devices make no pairs


def test_each_has_a_line_with_its_seconds_and_the_reason() -> None:
    choice = choose([rank()] * 3 + [rank(10 * SHARE)])
    facts, best, *others = choice.lines()
    assert facts.startswith("a step computes 0.1 s on its share of the batch and communicates 0 ms")
    assert best.startswith("backup spares=1 0.13 s: the first 3 of 4 take 0.1 s")
    assert len(others) == 4
    assert choice.line().startswith(best)
    assert "sync 1 s" in choice.line()


def test_one_device_is_in_step_with_itself() -> None:
    assert ALONE.line() == "sync: there is one device, and nobody to agree with"
    assert ALONE.lines() == [ALONE.line()]
