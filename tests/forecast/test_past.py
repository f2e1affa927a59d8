"""What one run's events say of the way to a target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.forecast.front import LUCK
from turnaround.forecast.guess import Interval
from turnaround.forecast.past import Told, read
from turnaround.spec import Budget, Cluster, Data, Evaluate, Event, Layout, Optim, Tracking

PLAN = replace(
    example_plan(),
    data=Data(batch=20),
    optim=Optim(lr=0.1, warmup=10),
    layout=Layout(),
    budget=Budget(steps=400),
    evaluate=Evaluate(every=100, score="loss"),
)


def told(**changes: Any) -> Told:
    """300 steps of 20 ms whose loss falls by one every hundred; a look takes half a second."""
    said: list[tuple[str, dict[str, Any]]] = []
    for looks, step in enumerate((1, 100, 200, 300)):
        rows = {"build": 1.0, "compute": 0.02 * step, "evaluate": 0.5 * looks}
        said.append(("ledger", {"step": step, "began": 0.0, "rows": rows}))
        if looks:
            scale = {"noise/low": 8.0 * step, "noise/scale": 10.0 * step, "noise/high": 12.0 * step}
            said.append(("metrics", {"split": "train", "step": step, "values": scale}))
            score = {"loss": 5 - step / 100}
            said.append(("metrics", {"split": "valid", "step": step, "values": score}))
    events = [Event(kind, data, 0.0, attempt=1) for kind, data in said]
    return read(replace(PLAN, **changes), events)


def test_a_target_takes_the_noise_scale_that_was_told_before_it() -> None:
    run = told()
    assert run.scale == Interval(2400, 3000, 3600)
    assert run.scale_by(250) == Interval(1600, 2000, 2400)
    assert run.scale_by(50) == Interval(800, 1000, 1200)  # the first there was
    assert Told(PLAN).scale_by(50) is None


def test_the_noise_of_all_of_the_way_counts_not_that_of_its_first_steps() -> None:
    events, sums = [], [0.0, 0.0]
    for count, true in enumerate([1.0] * 10 + [60.0] * 10, 1):  # long gradients, then short ones
        sums = [sums[0] + 1.0, sums[1] + 1 / true]
        values = {"noise/low": 1.0, "noise/scale": sums[0] / sums[1], "noise/high": 5.0}
        values |= {"noise/trace": sums[0] / count, "noise/square": sums[1] / count}
        where = {"split": "train", "step": count * 20, "values": values}
        events.append(Event("metrics", where, 0.0, attempt=1))
    run = read(replace(PLAN, tracking=Tracking("none", noise=20)), events)
    scale, share = run.scale_by(400), (1 / 21 + 60 / 80) / 2
    assert scale is not None
    assert scale.middle == pytest.approx(20 * share / (1 - share))
    early = run.known(400, scale, {})
    assert early.early is None  # too little was said in ten steps
    longer = replace(run.plan, optim=replace(PLAN.optim, warmup=200))
    assert replace(run, plan=longer).known(400, scale, {}).early == pytest.approx(1.0)


def test_runs_trained_with_others_or_beside_them_tell_no_time() -> None:
    assert told().step is not None
    assert told(cluster=Cluster(share=0.5)).step is None


def test_a_schedule_is_as_long_as_its_budget() -> None:
    assert told().whole == 400
    assert told(budget=Budget(examples=2000)).whole == 100
    assert told(budget=Budget(time=60.0)).whole == 300


@pytest.mark.parametrize("data", [Data(batch=20, whole=True), Data(batch=20, grow=16)], ids=str)
def test_steps_that_are_not_of_the_batch_are_neither_planned_nor_timed_by_it(data: Data) -> None:
    run = told(data=data, budget=Budget(examples=2000))
    assert (run.whole, run.step) == (300, None)
    assert told(data=data).whole == 400


def test_what_a_front_needs_is_there() -> None:
    run = told()
    assert run.look == pytest.approx(0.5)
    steps = run.reached("loss", 2.5, up=False)
    assert steps is not None
    assert steps == pytest.approx(250)
    known = run.known(steps, Interval(1, 2, 3), {20: steps})
    assert (known.batch, known.steps, known.lr) == (20, 250, 0.1)
    assert (known.whole, known.warmup, known.every) == (400, 10, 100)
    assert known.looking == pytest.approx(1.0)  # two looks on the way
    assert known.scale.middle == 2000
    deaf = Told(PLAN, valid=run.valid).known(steps, Interval(1, 2, 3), {})
    assert deaf.scale.middle == 2


def test_a_score_that_comes_and_goes_makes_the_steps_to_it_unsure() -> None:
    steady = Told(PLAN, valid=[(step, {"loss": 5 - step / 100}) for step in range(100, 500, 20)])
    assert steady.luck("loss", 3.0, up=False) == LUCK
    values = [(100, 4.0), (200, 2.9), (300, 3.1), (400, 2.0)]
    restless = Told(PLAN, valid=[(step, {"loss": loss}) for step, loss in values])
    assert LUCK < restless.luck("loss", 3.0, up=False) < 0.3
    worse = [*values, (10_000, 4.0)]
    overdone = Told(PLAN, valid=[(step, {"loss": loss}) for step, loss in worse])
    assert overdone.luck("loss", 3.0, up=False) == 0.3
    never = Told(PLAN, valid=[(100, {"loss": 4.0})])
    assert never.luck("loss", 3.0, up=False) == LUCK
