"""Made-up accounts, each with one cause of lost time: it is named, with what would change it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.advice.base import Advice, Case
from turnaround.advice.facts import Facts, gather
from turnaround.advice.rules import advise
from turnaround.ledger import ROWS, Account
from turnaround.spec import (
    Budget,
    Checkpoint,
    Cluster,
    Data,
    Evaluate,
    Event,
    Layout,
    Plan,
    Update,
)

PLAN = replace(
    example_plan(), budget=Budget(steps=1000), evaluate=Evaluate(every=100), data=Data(batch=64)
)
WELL = {"spawn": 0.1, "build": 0.5, "compute": 9.0, "optimize": 0.5, "evaluate": 0.3, "finish": 0.1}


def facts(**changes: Any) -> Facts:
    """Of a run of 1,000 steps that looks and saves ten times."""
    usual: dict[str, Any] = {
        "steps": 1000,
        "examples": 64000,
        "looks": 10,
        "saves": 10,
        "bests": 5,
        "scored": 20,
    }
    return Facts(**(usual | {"drawn": 800, "ended": "budget.steps", "corpus": 1e5} | changes))


def case(plan: Plan = PLAN, devices: int = 1, known: Facts | None = None, **rows: float) -> Case:
    account = Account({row: (WELL | rows).get(row, 0.0) for row in ROWS})
    return Case(plan, account, known or facts(), devices)


def first(found: Case) -> Advice:
    return advise(found)[0]


def test_a_run_whose_time_is_compute_is_left_alone() -> None:
    assert advise(case()) == []


# ── the six causes ──


def test_a_slow_loader_is_read_by_more_ranks() -> None:
    told = first(case(devices=2, data=8.0))
    assert (told.cause, told.row) == ("loader", "data")
    assert told.words == ("layout=ddp", "layout.replicate=2")
    assert told.saves == pytest.approx(4.0)
    assert "8 ms" in told.message


def test_a_slow_loader_without_a_free_device_has_no_setting() -> None:
    told = first(case(devices=1, data=8.0))
    assert (told.cause, told.words, told.saves, told.high) == ("loader", (), 0.0, 8.0)


def test_a_checkpoint_every_step_becomes_ten() -> None:
    plan = replace(PLAN, checkpoint=Checkpoint(every=1))
    told = first(case(plan, known=facts(saves=1000, bests=0), checkpoint=10.0))
    assert (told.cause, told.row, told.words) == (
        "checkpoints",
        "checkpoint",
        ("checkpoint.every=100",),
    )
    assert told.saves == pytest.approx(9.9)
    assert "1,000 checkpoints of 10 ms, one each step" in told.message


def test_a_dear_checkpoint_is_made_as_often_as_the_training_allows() -> None:
    plan = replace(PLAN, checkpoint=Checkpoint(every=100))
    told = first(case(plan, known=facts(bests=0), checkpoint=30.0))
    assert told.words == ("checkpoint.every=1000",)
    assert told.saves == pytest.approx(27.0)


def test_a_tiny_batch_becomes_a_larger_one_of_as_many_examples() -> None:
    plan = replace(PLAN, data=Data(batch=2))
    told = first(case(plan, known=facts(examples=2000)))
    assert (told.cause, told.row) == ("batch", "compute")
    assert told.words == ("data.batch=32", "budget.steps=63", "evaluate.every=7")
    assert told.low < told.saves < told.high
    assert 0.6 * 10.5 < told.saves < 10.5


def test_steps_that_see_all_examples_have_no_larger_batch() -> None:
    found = case(replace(PLAN, data=Data(batch=2, whole=True)), known=facts(examples=2000))
    assert advise(found) == []


def test_runs_with_another_batch_tell_what_a_step_costs_by_itself() -> None:
    plan = replace(PLAN, data=Data(batch=2))
    guess = case(plan, evaluate=0.0)
    known = first(replace(guess, paces={2: 0.0095, 32: 0.0095 + 30 * 0.0001}))
    fixed = (0.0095 - 2 * 0.0001) * 1000
    assert known.saves == pytest.approx((1 - 1 / 16) * fixed)
    linear = replace(guess, paces={2: 0.0095, 4: 0.019})
    assert advise(linear) == []


def test_an_evaluation_every_step_becomes_ten_with_their_checkpoints() -> None:
    plan = replace(PLAN, evaluate=Evaluate(every=1))
    known = facts(looks=1000, saves=1000, bests=0, scored=2000)
    told = first(case(plan, known=known, evaluate=20.0, checkpoint=5.0))
    assert (told.cause, told.row, told.words) == (
        "evaluations",
        "evaluate",
        ("evaluate.every=100",),
    )
    assert told.saves == pytest.approx(0.99 * 25.0)
    assert [told.cause for told in advise(case(plan, known=known, evaluate=20.0))] == [
        "evaluations"
    ]


def test_patience_counts_evaluations_and_goes_with_them() -> None:
    plan = replace(PLAN, evaluate=Evaluate(every=1, patience=50))
    told = first(case(plan, known=facts(looks=1000, scored=2000), evaluate=20.0))
    assert told.words == ("evaluate.every=100", "evaluate.patience=1")


def test_too_many_small_metrics_are_reported_less_often() -> None:
    plan = replace(PLAN, evaluate=Evaluate(every=5))
    known = facts(looks=200, scored=100_000, drawn=800, bests=0, recording=21.0)
    told = first(case(plan, known=known, evaluate=2.0, log=1.0, finish=21.1))
    assert (told.cause, told.row, told.words) == ("metrics", "log", ("evaluate.every=112",))
    assert told.saves == pytest.approx(0.955 * (2.0 + 0.99 * (20.0 + 1.0)), rel=0.01)
    assert "100,000 numbers" in told.message


def test_pictures_take_as_long_with_fewer_numbers() -> None:
    plan = replace(PLAN, evaluate=Evaluate(every=5))
    known = facts(looks=200, scored=100_000, drawn=800, bests=0, recording=21.0, files=11.0)
    told = first(case(plan, known=known, evaluate=2.0, log=1.0, finish=21.1))
    assert told.saves == pytest.approx(0.955 * (2.0 + 0.99 * (10.0 + 1.0)), rel=0.01)


def two(plan: Plan = PLAN) -> Plan:
    return replace(plan, layout=Layout("ddp", 2))


def ranked(first: dict[str, float], second: dict[str, float]) -> Facts:
    return facts(ranks={0: first, 1: second}, places={0: "cpu of a", 1: "cpu of b"})


def test_the_rank_that_waits_least_is_the_slow_one() -> None:
    known = ranked({"compute": 2.0, "communicate": 8.0}, {"compute": 9.8, "communicate": 0.2})
    told = first(case(two(), 2, known, compute=2.0, communicate=8.0))
    assert (told.cause, told.row, told.words) == ("imbalance", "communicate", ("layout=single",))
    assert told.saves == pytest.approx(9.8 + 0.2 - 2 * 2.0)
    assert "rank 1 (cpu of b) works 9.8 s where others need 2 s" in told.message


def test_a_slow_rank_that_still_helps_is_named_and_kept() -> None:
    known = ranked({"compute": 7.0, "communicate": 3.0}, {"compute": 9.9, "communicate": 0.1})
    told = first(case(two(), 2, known, compute=7.0, communicate=3.0))
    assert (told.cause, told.words) == ("imbalance", ())
    assert told.high == pytest.approx(2.9)


def test_ranks_that_wait_by_turns_have_uneven_shares() -> None:
    known = ranked({"compute": 7.0, "communicate": 3.0}, {"compute": 7.1, "communicate": 2.9})
    told = first(case(two(), 2, known, compute=7.0, communicate=3.0))
    assert (told.cause, told.words) == ("imbalance", ("data.bucket=50",))
    assert told.low == 0.0


def test_groups_that_do_not_wait_are_not_compared() -> None:
    known = ranked({"compute": 2.0, "communicate": 8.0}, {"compute": 9.8, "communicate": 0.2})
    plan = replace(PLAN, update=Update("async", groups=2))
    assert [told.cause for told in advise(case(plan, 2, known))] == []


# ── the others ──


def test_a_cold_pool_is_told() -> None:
    told = first(case(pool=3.0))
    assert (told.cause, told.command, told.words) == ("cold pool", "turnaround up", ())


def test_slow_imports_have_no_setting() -> None:
    rows: dict[str, Any] = {"import": 3.0}  # a word that Python keeps
    told = first(case(**rows))
    assert (told.cause, told.saves, told.high) == ("imports", 0.0, 3.0)


def test_steps_done_again_want_more_checkpoints() -> None:
    told = first(case(replay=4.0, checkpoint=0.1))
    assert (told.cause, told.words) == ("replay", ("checkpoint.every=25",))
    assert told.saves < 3.0


def test_a_wait_for_devices_is_told() -> None:
    assert first(case(queue=5.0)).words == ("cluster.priority=1",)


def test_nothing_goes_before_the_highest_priority() -> None:
    plans = [replace(PLAN, cluster=Cluster(device="cpu", priority=most)) for most in (999, 1000)]
    told = [advise(case(plan, queue=5.0)) for plan in plans]
    assert told[0][0].words == ("cluster.priority=1000",)
    assert told[1] == []


def test_the_largest_gain_comes_first_and_crumbs_are_left_out() -> None:
    plan = replace(PLAN, checkpoint=Checkpoint(every=1))
    known = facts(saves=1000, bests=0)
    found = advise(case(plan, 2, known, checkpoint=4.0, data=20.0, pool=0.05))
    assert [told.cause for told in found] == ["loader", "checkpoints"]


def test_under_a_budget_of_time_more_training_is_gained() -> None:
    plan = replace(PLAN, budget=Budget(time=30.0), checkpoint=Checkpoint(every=1))
    told = first(case(plan, known=facts(saves=1000, ended="budget.time"), checkpoint=10.0))
    assert told.frees


def test_while_a_run_goes_on_intervals_follow_its_budget() -> None:
    plan = replace(PLAN, budget=Budget(steps=10_000), evaluate=Evaluate(every=1))
    known = facts(looks=1000, saves=0, bests=0, scored=2000, ended="")
    assert first(case(plan, known=known, evaluate=20.0)).words == ("evaluate.every=1000",)


def test_examples_plan_steps_where_each_has_as_many() -> None:
    known = facts(ended="")
    plans = [
        replace(PLAN, budget=Budget(examples=640_000), data=data)
        for data in (Data(), Data(whole=True), Data(grow=16))
    ]
    assert [case(plan, known=known).steps for plan in plans] == [10_000, 1000, 1000]


def test_facts_are_counted_over_all_attempts_and_ranks_are_of_the_last() -> None:
    def event(kind: str, attempt: int = 1, rank: int = 0, **data: Any) -> Event:
        return Event(kind, data, 100.0 + attempt, attempt, rank)

    train: dict[str, Any] = {
        "step": 10,
        "split": "train",
        "values": {"loss": 1.0},
        "examples": 640,
        "epoch": 0.5,
    }
    events = [
        event("spans", 0, began=1.0, rows={}, words=["recipe=reverse"]),
        event("worker", rank=1, device="cpu", host="here", pid=1, threads=1),
        event("metrics", **train),
        event("metrics", **(train | {"split": "valid", "values": {"loss": 1.0, "bleu": 2.0}})),
        event("checkpoint", step=10, folder="a", best=True),
        event("checkpoint", step=10, folder="b", best=False),
        event("ledger", rank=1, step=10, began=1.0, rows={"compute": 1.0}),
        event("spans", 1, began=1.0, rows={}),
        event("ledger", attempt=2, step=12, began=1.0, rows={"compute": 2.0}),
        event("summary", attempt=2, steps=20, values={}, stopped="budget.steps"),
        event("status", attempt=2, status="SUCCEEDED", reason=""),
        event("recorded", attempt=3, files=0.25),
    ]
    known = gather(events)
    assert (known.steps, known.looks, known.scored, known.drawn) == (20, 1, 2, 1)
    assert (known.saves, known.bests, known.corpus, known.ended) == (1, 1, 1280, "budget.steps")
    assert known.ranks == {0: {"compute": 2.0}}
    assert known.places == {1: "cpu of here"}
    assert (known.words, known.recording, known.files) == (["recipe=reverse"], 1.0, 0.25)
