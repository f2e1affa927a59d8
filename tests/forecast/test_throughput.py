"""The law of a step's time: recovered from its own predictions, and from a published table."""

from __future__ import annotations

import csv
import os
import statistics
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from turnaround.forecast.throughput import Law, Step, fit

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data"))
TABLE = SHARED / "noise-scale" / "cifar10-placements.csv"
SIZES = [8, 16, 32, 64, 128]
TRUE = Law(0.01, 0.001, 0.02, 0.002, 0.06, 0.004, overlap=2.0)


def steps(placements: list[tuple[int, int]], batches: list[int]) -> list[Step]:
    return [
        Step(devices, nodes, batch, 1, TRUE.seconds(devices, nodes, batch))
        for (devices, nodes), batch in product(placements, batches)
    ]


def test_a_law_is_found_again_from_what_it_says() -> None:
    found = fit(steps([(1, 1), (2, 1), (4, 1), (8, 2), (16, 4)], [8, 32, 128]))
    for devices, nodes, batch in ((1, 1, 64), (3, 1, 64), (12, 3, 16), (16, 2, 128)):
        expected = TRUE.seconds(devices, nodes, batch)
        assert found.seconds(devices, nodes, batch) == pytest.approx(expected, rel=0.03)


def test_more_micro_batches_cost_computing_only() -> None:
    once, thrice = TRUE.seconds(4, 1, 32), TRUE.seconds(4, 1, 32, micro=3)
    assert thrice - once == pytest.approx(2 * TRUE.compute(32))


def test_one_batch_size_tells_the_time_of_a_step_and_guesses_the_rest() -> None:
    found = fit([Step(1, 1, 64, 1, 0.08)])
    assert found.seconds(1, 1, 64) == pytest.approx(0.08, rel=0.01)
    assert 0.08 < found.seconds(1, 1, 128) < 0.16
    assert found.seconds(2, 1, 64) > found.seconds(1, 1, 64)
    assert found.agree(4, 2) > found.agree(4, 1)


def test_what_the_law_misses_is_said_between_batches_that_were_measured() -> None:
    even = steps([(1, 1)], SIZES)
    seen = [replace(s, seconds=(1.3 if s.batch == 64 else 1) * s.seconds) for s in even]
    found = fit(seen)
    for step in seen:
        assert found.seconds(1, 1, step.batch) == pytest.approx(step.seconds)
    true, told = TRUE.seconds(1, 1, 50), found.seconds(1, 1, 50)
    assert 1.05 * true < told < 1.3 * true
    assert found.seconds(2, 1, 64) < 1.3 * TRUE.seconds(2, 1, 64)  # it was not seen there


def test_nothing_measured_is_nothing_known() -> None:
    with pytest.raises(ValueError, match="no step was measured"):
        fit([])


@pytest.mark.skipif(not TABLE.exists(), reason=f"{TABLE} is not here")
@pytest.mark.parametrize("share", [2, 10])
def test_placements_that_were_not_measured_are_predicted_within_a_tenth(share: int) -> None:
    with TABLE.open() as file:
        rows = [(row["placement"], _step(row)) for row in csv.DictReader(file)]
    placements = sorted({place for place, _ in rows}, key=lambda place: (len(place), place))
    known = set(placements[::share])
    law = fit([step for place, step in rows if place in known])
    held = [step for place, step in rows if place not in known]
    errors = [abs(law.seconds(s.devices, s.nodes, s.batch) / s.seconds - 1) for s in held]
    print(
        {"placements known": len(known), "held out": len(held), "median": statistics.median(errors)}
    )
    assert statistics.median(errors) <= 0.10


def _step(row: dict[str, str]) -> Step:
    """A placement 124 is three nodes, with 1, 2 and 4 devices."""
    place = row["placement"]
    times = float(row["step_time"]), float(row["sync_time"])
    return Step(sum(map(int, place)), len(place), float(row["local_bsz"]), 1, *times)
