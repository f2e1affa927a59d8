"""What crosses a process survives the crossing."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from tests.examples import example_plan
from turnaround.errors import PlanError
from turnaround.spec import (
    Budget,
    Data,
    Evaluate,
    Event,
    Optim,
    Plan,
    Status,
    from_dict,
    from_json,
    to_dict,
    to_json,
)
from turnaround.spec.scores import rises


def test_a_plan_survives_json() -> None:
    plan = replace(example_plan(), tags={"why": "because"}, optim=Optim("adamw", betas=[0.8, 0.9]))
    assert from_json(Plan, to_json(plan)) == plan


def test_an_event_survives_json_even_with_a_loss_that_is_not_a_number() -> None:
    event = Event("metrics", {"values": {"loss": float("inf")}}, 1.5, attempt=2, rank=1, seq=7)
    assert from_json(Event, to_json(event)) == event


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        example_plan().seed = 1  # type: ignore[misc]  # that it is refused is the point


@pytest.mark.parametrize(
    ("group", "key", "value", "said"),
    [
        ("optim", "lr", -1.0, "optim.lr=-1.0 does not fit: input should be greater than 0"),
        ("data", "batch", 0, "data.batch=0 does not fit: input should be greater than 0"),
        ("optim", "momentum", 2.0, "optim.momentum=2.0 does not fit"),
        ("layout", "name", "ddq", "layout.name='ddq' does not fit"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(
    group: str, key: str, value: object, said: str
) -> None:
    fields = to_dict(example_plan())
    fields[group][key] = value
    with pytest.raises(PlanError) as caught:
        from_dict(Plan, fields)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("budget", "data", "steps"),
    [
        (Budget(steps=100), Data(batch=8), 100),
        (Budget(examples=100), Data(batch=8), 13),
        (Budget(steps=10, examples=100), Data(batch=8), 10),
        (Budget(steps=20, examples=100, time=9.0), Data(batch=8), 13),
        (Budget(examples=100), Data(batch=8, whole=True), None),
        (Budget(steps=20, examples=100), Data(batch=8, grow=4), 20),
        (Budget(time=9.0), Data(), None),
    ],
)
def test_a_budget_is_so_many_steps_where_that_is_known_before(
    budget: Budget, data: Data, steps: int | None
) -> None:
    assert budget.within(data) == steps


def test_only_the_last_three_states_are_over() -> None:
    assert [status.name for status in Status if status.over] == ["SUCCEEDED", "FAILED", "STOPPED"]


@pytest.mark.parametrize(
    ("names", "way"),
    [
        ("accuracy bleu chrf exact f1 ndcg ndcg@10 return top5_accuracy success_rate", True),
        (
            "loss perplexity bits_per_byte cer wer invalid val_loss word_error_rate top5_error",
            False,
        ),
        ("length ratio area bits entropy p_k triplets right win_rate heat", None),
    ],
)
def test_a_scores_name_tells_which_way_it_goes_or_nothing(names: str, way: bool | None) -> None:
    assert {name: rises(name) for name in names.split()} == dict.fromkeys(names.split(), way)


def test_the_best_score_is_the_highest_unless_its_name_or_somebody_says_else() -> None:
    assert [Evaluate(score=name).rises for name in ("bleu", "length", "loss")] == [1, 1, 0]
    assert not Evaluate(score="perplexity").rises
    assert Evaluate(score="perplexity", better="max").rises
    assert not Evaluate(score="length", better="min").rises
