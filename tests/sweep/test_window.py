"""What fits in a window."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.sweeps import asked
from turnaround.errors import ConfigError
from turnaround.forecast.guess import Interval
from turnaround.sweep.question import Window
from turnaround.sweep.window import LEAVE, fits, window

NOON = datetime(2030, 1, 31, 12, 0).astimezone().timestamp()


def test_ends_are_lengths_times_of_day_and_dates() -> None:
    assert window("8h", None, None, NOON).end == NOON + 8 * 3600
    assert window(None, "07:00", None, NOON).end == NOON + 19 * 3600
    assert window(None, "12:30", None, NOON).end == NOON + 1800
    assert window("20h", "07:00", None, NOON).end == NOON + 19 * 3600
    assert window(None, "2030-02-01T12:00", None, NOON).end == NOON + 86400
    assert window(None, None, "40dev-hours", NOON) == Window(None, 144000.0)
    assert not window(None, None, None, NOON)


@pytest.mark.parametrize("word", ["0s", "8", "soon", "-1h"])
def test_a_length_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="no length of time"):
        window(word, None, None, NOON)


def test_a_window_that_is_over_and_a_budget_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="over already"):
        window(None, "2029-01-01", None, NOON)
    with pytest.raises(ConfigError, match="no time of day"):
        window(None, "25:00", None, NOON)
    for word in ("0dev-hours", "40", "40h", "1.2.3dev-hours"):
        with pytest.raises(ConfigError, match="buys nothing"):
            window(None, None, word, NOON)


def test_a_window_that_begins_later_counts_from_there() -> None:
    ten = NOON + 10 * 3600
    assert window("8h", None, None, NOON, "22:00") == Window(ten + 8 * 3600, None, ten)
    assert window(None, "07:00", None, NOON, "22:00") == Window(NOON + 19 * 3600, None, ten)
    assert window(None, "11:00", None, NOON, "10:00").end == NOON + 23 * 3600
    assert not window(None, None, None, NOON, "22:00")  # nothing ends it
    with pytest.raises(ConfigError, match="--at 2029-01-01 is over already"):
        window(None, None, None, NOON, "2029-01-01")
    with pytest.raises(ConfigError, match="--by 2030-01-31T13:00 is over already"):
        window(None, "2030-01-31T13:00", None, NOON, "22:00")


def test_how_many_fit_is_an_interval(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=interval(0.1,1)", name="random")
    now = time.time()
    night = replace(question, window=Window(end=now + LEAVE + 100))
    assert fits(night, Interval(8, 10, 12), slots=2, now=now) == (16, 24)
    poor = replace(question, window=Window(device_seconds=50.0))
    assert fits(poor, Interval(8, 10, 12), slots=2, now=now) == (4, 6)
