"""The few numbers of a run that forecasts are made of."""

import dataclasses
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.cost import asked, cost, split
from turnaround.forecast.eta import Work
from turnaround.spec import Budget, Cluster, Data, Event, Layout, Optim, Recipe, Update


def ledger(step: int, compute: float, **rows: float) -> Event:
    rows = {"spawn": 0.1, "build": 0.9, "compute": compute, "other": 0.5, **rows}
    return Event("ledger", {"step": step, "began": 10.0, "rows": rows}, 0.0, 1)


def summary(steps: int = 100) -> Event:
    return Event("summary", {"steps": steps, "seconds": 6.0, "values": {}}, 0.0, 1)


def test_the_parts_add_up_to_the_time_from_start_to_end() -> None:
    last = ledger(100, 4.0, evaluate=1.0, checkpoint=0.5, finish=0.25)
    found = cost([ledger(1, 0.1), last, summary()], started=9.5, ended=18.0)
    assert found == {
        "start": 1.5,
        "stepping": 4.5,
        "looking": 1.5,
        "finish": 1.0,  # of it 0.25 the worker's
        "steps": 100,
    }
    assert sum(found[part] for part in ("start", "stepping", "looking", "finish")) == 8.5


def test_halves_that_differ_are_told() -> None:
    events = [ledger(1, 0.1), ledger(50, 1.5), ledger(100, 5.5), summary()]
    found = cost(events, started=9.5, ended=18.0)
    assert found["drift"] == pytest.approx(0.693, abs=1e-3)  # 2 s, then 4 s


@pytest.mark.parametrize(
    "events",
    [
        [],
        [ledger(100, 4.0)],
        [summary()],
        [ledger(100, 4.0), summary(0)],
        [ledger(50, 1.0), Event("notice", {}, 0.0, attempt=2), ledger(100, 4.0), summary()],
        [Event("worker", {"pid": 1, "gain": 3.0}, 0.0, 1), ledger(100, 4.0), summary()],  # fused
    ],
)
def test_what_is_not_told_whole_by_one_attempt_is_no_example(events: list[Event]) -> None:
    assert cost(events, 9.5, 18.0) == {}


def test_replayed_steps_are_no_steps() -> None:
    assert split({"compute": 2.0, "replay": 5.0, "recover": 1.0, "evaluate": 0.5}) == {
        "stepping": 2.0,
        "looking": 0.5,
    }


def test_what_costs_no_time_is_not_asked() -> None:
    plan = example_plan()
    changes: list[dict[str, Any]] = [
        {"seed": 7},
        {"optim": Optim(lr=0.5)},
        {"name": "other"},
        {"tags": {"a": "b"}},
    ]
    for change in changes:
        assert asked(dataclasses.replace(plan, **change)) == asked(plan)
    wide = dataclasses.replace(plan, recipe=Recipe("reverse", {"width": 128}))
    assert asked(wide)["like"] == {**asked(plan)["like"], "recipe.width": 128}
    goal = {"steps": 10, "batch": 32}
    assert asked(dataclasses.replace(plan, data=Data(batch=32)))["goal"] == goal
    patient = dataclasses.replace(plan, budget=Budget(time=60.0, target=0.9))
    assert asked(patient)["goal"] == {"time": 60.0, "target": 0.9, "batch": 64}


@pytest.mark.parametrize(
    ("change", "knobs"),
    [
        ({"data": Data(whole=True)}, {"whole": True}),
        ({"data": Data(grow=16)}, {"grow": 16}),
        ({"update": Update("local", groups=2)}, {"update": "local", "groups": 2, "devices": 2}),
        ({"update": Update(straggle=0.5)}, {"straggle": 0.5}),
        ({"layout": Layout(compile=True)}, {"compile": True}),
        ({"layout": Layout(activation_checkpointing=True)}, {"activation_checkpointing": True}),
        ({"cluster": Cluster(device="cpu", threads=1, share=0.5)}, {"share": 0.5}),
    ],
    ids=str,
)
def test_what_few_runs_ask_for_is_told_by_those(
    change: dict[str, Any], knobs: dict[str, Any]
) -> None:
    plan = example_plan()
    assert asked(dataclasses.replace(plan, **change))["like"] == asked(plan)["like"] | knobs


def test_examples_tell_the_end_where_each_step_sees_as_many() -> None:
    plan = dataclasses.replace(example_plan(), budget=Budget(examples=640))
    assert Work.of(asked(plan)["goal"]).steps == 10
    for data in (Data(whole=True), Data(grow=16)):
        assert Work.of(asked(dataclasses.replace(plan, data=data))["goal"]).steps is None
