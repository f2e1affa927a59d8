"""What probes tell, and how runs correct it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from turnaround.forecast.speed import Size, Speeds, covers, refined
from turnaround.forecast.throughput import Step, fit


def size(devices: int, batch: int, seconds: float = 0.0) -> Size:
    """1 ms, and 0.1 ms an example of a device."""
    each = batch / devices
    return Size(devices, batch, seconds or 1e-3 + 1e-4 * each, 0.0, 10**8)


PROBED = Speeds([size(1, batch) for batch in (16, 32, 64, 128)])


def test_a_probe_of_more_devices_is_added_and_one_of_as_many_replaces() -> None:
    both = PROBED.with_(Speeds([size(2, 64)], most=40))
    assert [(s.devices, s.batch) for s in both.sizes][-2:] == [(1, 128), (2, 64)]
    assert both.most == 40
    newer = both.with_(Speeds([size(1, 256)]))
    assert [(s.devices, s.batch) for s in newer.sizes] == [(1, 256), (2, 64)]
    assert newer.most == 40


def test_what_a_run_takes_longer_is_true_of_all_sizes() -> None:
    run = Step(1, 1, 48, 1, 1.2 * (1e-3 + 48e-4))
    steps = refined(PROBED.steps, [run])
    assert steps[-1] == run
    assert fit(steps).seconds(1, 1, 100) == pytest.approx(1.2 * (1e-3 + 100e-4), rel=0.02)


def test_either_alone_is_taken_as_it_is() -> None:
    run = replace(PROBED.steps[0], seconds=1.0)
    assert refined(PROBED.steps, []) == PROBED.steps
    assert refined([], [run]) == [run]


def test_one_batch_size_of_each_number_of_devices_is_too_little() -> None:
    one, two = [size(1, 64).step], [size(2, 64).step]
    assert not covers([], [1])
    assert not covers(one, [1])
    assert not covers([*one, *two], [1, 2])
    assert not covers([*one, size(1, 32).step], [1, 2])
    assert covers([*one, size(1, 32).step], [1])
    assert covers([*one, size(1, 32).step, *two], [1, 2])
