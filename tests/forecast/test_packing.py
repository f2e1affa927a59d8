"""How many runs a device is best shared by."""

from __future__ import annotations

import pytest

from turnaround.forecast.packing import Crowd, choose

GB = 1e9


def crowds(*gains: float, each: float = 0.5 * GB) -> list[Crowd]:
    """Two, four … copies that do so many times the work of one."""
    counts = [2 ** (nth + 1) for nth in range(len(gains))]
    return [Crowd(n, gain, 100.0, n * each) for n, gain in zip(counts, gains, strict=True)]


def test_the_most_work_decides() -> None:
    packing = choose(crowds(1.7, 2.5, 2.4), room=24 * GB)
    assert (packing.copies, packing.gain, packing.alone) == (4, 2.5, 100)
    assert packing.line() == (
        "4 a device: 2.5 × the trials an hour, 2.0 of 24 GB; 8 would do 2.40 × the work"
    )


@pytest.mark.parametrize("gain", [0.5, 0.95, 1.0, 1.09])
def test_what_brings_nothing_for_certain_is_not_chosen(gain: float) -> None:
    packing = choose(crowds(gain), room=24 * GB)
    assert packing.copies == 1
    assert packing.line() == f"1 a device: 0.5 of 24 GB; 2 would do {gain:.2f} × the work"


def test_each_doubling_must_be_worth_it() -> None:
    assert choose(crowds(1.5, 1.55), room=24 * GB).copies == 2


def test_memory_sets_the_bound() -> None:
    packing = choose(crowds(1.9, 3.7, each=5 * GB), room=24 * GB)
    assert (packing.copies, packing.more) == (2, "4 would take 20.0 GB")


def test_a_crowd_that_could_not_be_measured_is_named() -> None:
    packing = choose(crowds(1.9), room=24 * GB, more="4 failed: out of memory")
    assert (packing.copies, packing.more) == (2, "4 failed: out of memory")
