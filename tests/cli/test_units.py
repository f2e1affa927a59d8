from pathlib import Path

import pytest

from turnaround.cli.views import units


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-1, "0.0s"),
        (0.44, "0.4s"),
        (45, "45s"),
        (59.6, "1m00s"),
        (151, "2m31s"),
        (3720, "1h02m"),
        (86_400 * 3 + 4 * 3600, "3d04h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, told: str) -> None:
    assert units.duration(seconds) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.5, "now"), (12, "12s"), (400, "6m"), (7300, "2h"), (700_000, "8d")]
)
def test_an_age_has_one_unit(seconds: float, told: str) -> None:
    assert units.age(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.81312, "0.8131"),
        (71.0, "71"),
        (1834.44, "1,834"),
        (123456.7, "123,457"),
        (1e-5, "1e-05"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_has_four_digits_that_count(value: float, told: str) -> None:
    assert units.number(value) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(12, "12 B"), (3400, "3.4 kB"), (340_000, "340 kB"), (2.5e9, "2.5 GB"), (3e15, "3000.0 TB")],
)
def test_a_size_is_in_the_unit_that_suits_it(count: float, told: str) -> None:
    assert units.size(count) == told


def test_the_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert units.short(Path("/home/ada/x/y")) == "~/x/y"
    assert units.short(Path("/srv/x")) == "/srv/x"


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (28, 45, "28–45s"),
        (0.84, 1.2, "0.8–1.2s"),
        (8, 12, "8.0–12s"),
        (55, 80, "55s–1m20s"),
        (28, 59.7, "28s–1m00s"),
        (59.6, 59.9, "1m00s"),
        (3600, 3601, "1h00m"),
    ],
)
def test_an_interval_says_its_unit_once(low: float, high: float, told: str) -> None:
    assert units.interval(low, high) == told
