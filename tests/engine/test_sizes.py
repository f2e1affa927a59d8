"""What batches of each size cost, as one process tells before it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.engine.trials import Told, assignment, trial_plan
from turnaround import worker
from turnaround.spec import Budget, Data, Event, Plan, Recipe


def gauged(plan: Plan, home: Path) -> Told:
    told = Told()

    def send(text: str) -> None:
        told.events += [Event(**json.loads(line)) for line in text.splitlines()]

    told.code = worker.gauge(plan, assignment(home, plan), send)
    return told


def hungry(seconds: float, **knobs: int) -> Plan:
    plan = trial_plan(recipe=Recipe("hungry", {"each": 1, **knobs}), data=Data(batch=4))
    place = replace(plan.place, recipe_file="recipes/hungry.py")
    return replace(plan, place=place, budget=Budget(time=seconds))


def test_batches_double_while_there_is_time_and_to_a_hundred_times_at_most(tmp_path: Path) -> None:
    told = gauged(hungry(60), tmp_path)
    assert told.code == 0, told.events[-1]
    found = told.of("gauge")
    doubled = [4 * 2**i for i in range(8)]
    assert [size["batch"] for size in found] == doubled + doubled[:4]
    for once, again in zip(found[:4], found[8:], strict=True):
        assert again["seconds"] <= once["seconds"]
        assert again["memory"] == once["memory"]
    assert all(0 <= size["wait"] < size["seconds"] for size in found)
    assert all(size["memory"] > 10**7 for size in found)
    assert told.of("checkpoint") == told.of("metrics") == []


def test_without_time_there_are_two_sizes_all_the_same(tmp_path: Path) -> None:
    told = gauged(hungry(0.001), tmp_path)
    assert [size["batch"] for size in told.of("gauge")] == [4, 8]


def test_a_size_that_fails_ends_it_after_what_was_said(tmp_path: Path) -> None:
    told = gauged(hungry(60, fails_at=16), tmp_path)
    assert told.code == 1
    assert [size["batch"] for size in told.of("gauge")] == [4, 8]
    assert "too many for me" in told.one("error")["message"]
