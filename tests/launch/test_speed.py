"""A probe of seconds and memory, in processes that are thrown away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.engine.trials import trial_plan
from turnaround.errors import LaunchError, PlanError
from turnaround.forecast.speed import Size, Speeds
from turnaround.launch import speed
from turnaround.launch.throwaway import Done, Limits
from turnaround.spec import Data, Event, Optim, Plan, Recipe

GIGABYTE = 10**9


def hungry(batch: int = 64, **knobs: int) -> Plan:
    """Four megabytes an example."""
    plan = trial_plan(recipe=Recipe("hungry", dict(knobs)), data=Data(batch=batch))
    return replace(plan, place=replace(plan.place, recipe_file="recipes/hungry.py"))


def found(batch: int, devices: int = 1) -> Event:
    data = {"batch": batch, "seconds": batch / 1000, "wait": 0.0, "memory": GIGABYTE}
    return Event("gauge", data, 0.0)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, Limits]]:
    """Nothing is started: two sizes are timed, and the next does not fit."""
    asked: list[tuple[Plan, Limits]] = []

    def carried_out(plan: Plan, root: Path, limits: Limits, heard: speed.Heard) -> Done:
        asked.append((plan, limits))
        events = [found(plan.data.batch), found(2 * plan.data.batch)]
        for event in events:
            heard(event)  # type: ignore[arg-type]  # of an event, here
        message = "out of memory: you tried to allocate 8 GB"
        said = {"message": message, "hint": "", "traceback": "", "exit_code": 1}
        return Done([*events, Event("error", said, 0.0)], 1, "")

    monkeypatch.setattr(speed, "carried_out", carried_out)
    return asked


def test_each_number_of_devices_has_its_share_of_time_and_memory(
    pretend: list[tuple[Plan, Limits]], tmp_path: Path
) -> None:
    seen: list[Size] = []
    speeds = speed.measured(hungry(64), tmp_path, [1, 2], 20.0, seen.append, free=GIGABYTE)
    (one, first), (two, second) = pretend
    assert (one.devices, one.layout.name, one.data.batch) == (1, "single", 32)
    assert (two.devices, two.layout.name, two.data.batch) == (2, "ddp", 32)
    assert (first, second) == (Limits(10.0, GIGABYTE), Limits(10.0, GIGABYTE // 2))
    assert one.budget.time == pytest.approx(8.5)
    assert [(size.devices, size.batch) for size in seen] == [(1, 32), (1, 64), (2, 32), (2, 64)]
    assert speeds.sizes == seen
    assert speeds.most == 32  # of each of the two


def test_what_was_found_is_kept_for_this_code_and_these_knobs(
    pretend: list[tuple[Plan, Limits]], tmp_path: Path
) -> None:
    plan = hungry()
    assert speed.stored(plan, tmp_path) == Speeds()
    speeds = speed.measured(plan, tmp_path, [1], 20.0, lambda size: None)
    assert speed.stored(plan, tmp_path) == speeds
    larger = replace(plan, data=Data(batch=128), budget=replace(plan.budget, steps=9), seed=1)
    assert speed.stored(larger, tmp_path) == speeds
    assert speed.stored(hungry(each=7), tmp_path) == Speeds()
    edited = replace(plan, place=replace(plan.place, code="other"))
    assert speed.stored(edited, tmp_path) == Speeds()
    again = speed.measured(larger, tmp_path, [1], 20.0, lambda size: None)
    assert [size.batch for size in again.sizes] == [64, 128]


@pytest.mark.parametrize(
    ("expected", "seconds"), [(None, 60), (1, 60), (600, 15), (1200, 30), (10**6, 60)]
)
def test_a_probe_takes_less_than_three_percent_of_what_is_expected(
    expected: float | None, seconds: float
) -> None:
    assert speed.limit(expected) == seconds
    assert expected is None or expected < 600 or seconds < 0.03 * expected


def test_what_cannot_be_probed_is_refused(tmp_path: Path) -> None:
    plan = hungry()
    with pytest.raises(PlanError, match="optim=lbfgs"):
        speed.measured(replace(plan, optim=Optim("lbfgs")), tmp_path, [1], 9.0, print)
    away = replace(plan.cluster, name="remote")
    with pytest.raises(PlanError, match="another cluster"):
        speed.measured(replace(plan, cluster=away), tmp_path, [1], 9.0, print)


# ── real processes ──


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_memory_ends_the_process_that_tried_and_tells_how_much_fits(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    speeds = speed.measured(hungry(), tmp_path, [1], 120.0, print, free=6 * GIGABYTE)
    sizes = [size.batch for size in speeds.sizes]
    assert sizes == [32 * 2**i for i in range(len(sizes))]
    assert speeds.most == sizes[-1]
    assert 256 <= speeds.most <= 1024  # 4 MB each, besides what torch takes
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_devices_are_timed_with_what_they_wait_for_each_other(tmp_path: Path) -> None:
    plan = trial_plan(data=Data(batch=16))
    speeds = speed.measured(plan, tmp_path, [1, 2], 120.0, print)
    waits = {size.devices: size.wait for size in speeds.sizes}
    assert waits[2] > waits[1]
    assert {size.batch for size in speeds.sizes if size.devices == 2} >= {8, 16, 32}
    assert speeds.most is None


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recipe_that_fails_is_not_taken_for_a_full_memory(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="the probe of a batch of 32 on 1 device failed"):
        speed.measured(hungry(fails_at=32), tmp_path, [1], 120.0, print)
    speeds = speed.measured(hungry(fails_at=128), tmp_path, [1], 120.0, print)
    assert [size.batch for size in speeds.sizes] == [32, 64]
    assert speeds.most is None
