from __future__ import annotations

from typing import Any

import pytest

from tests.engine.trials import trial_plan
from turnaround.engine.pace import Pace, Progress
from turnaround.spec import Budget, Checkpoint, Evaluate

NAN = float("nan")


def pace(**changes: Any) -> Pace:
    return Pace(trial_plan(**{"evaluate": Evaluate(), **changes}))


def looked_at(pace: Pace, steps: int, seconds: float = 0.0) -> list[int]:
    """The steps after which an evaluation is due."""
    now, due = Progress(), []
    for step in range(steps + 1):
        now.step, now.examples, now.seconds = step, 10 * step, seconds * step
        if pace.looks(now):
            due.append(step)
            pace.looked(now, {"loss": 1.0})
    return due


def judged(pace: Pace, *scores: float) -> tuple[list[bool], Progress]:
    """Which of these scores of `right` were kept as the best."""
    now = Progress()
    return [pace.looked(now, {"right": score, "loss": -score}) for score in scores], now


@pytest.mark.parametrize(
    "plan",
    [
        {"budget": Budget(steps=47)},
        {"budget": Budget(time=4.1)},
        {"budget": Budget(examples=333, time=9.0), "checkpoint": Checkpoint(every=3)},
        {"budget": Budget(steps=30), "evaluate": Evaluate(every=7), "until": 11},
        {"budget": Budget(steps=40, target=0.5), "evaluate": Evaluate(every=4, patience=2)},
    ],
)
@pytest.mark.parametrize("first", [0, 5])
def test_nothing_is_ever_due_unannounced(plan: dict[str, Any], first: int) -> None:
    """And little is announced for nothing."""
    asked, now, announced, happened = pace(**plan), Progress(), 0, 0
    for step in range(first, 60):
        now.step, now.examples, now.seconds = step, 10 * step, 0.1 * step
        looks, saves, ends = asked.looks(now), asked.saves(now), asked.over(now) is not None
        told = asked.due(now)
        assert told >= (looks or saves or ends)
        announced, happened = announced + told, happened + (looks or saves or ends)
        asked.rehearses(now)
        if looks:
            asked.looked(now, {"loss": 1.0})
        if saves:
            asked.saved(now)
        if asked.over(now):
            break
    assert announced <= happened + 12


def test_a_rehearsal_follows_the_first_step_of_an_attempt() -> None:
    asked = pace(budget=Budget(steps=100))
    now = Progress(step=30)
    assert (asked.due(now), asked.rehearses(now)) == (True, False)
    now.step = 31
    assert (asked.due(now), asked.rehearses(now)) == (True, True)
    assert not asked.rehearses(now)


def test_evaluations_come_every_so_many_steps_and_at_the_end() -> None:
    every = pace(evaluate=Evaluate(every=15), budget=Budget(steps=40))
    assert looked_at(every, 40) == [15, 30, 40]


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        (Budget(steps=50), 0.0),
        (Budget(examples=500), 0.0),
        (Budget(time=5.0), 0.1),
        (Budget(steps=50, time=99.0), 0.1),
    ],
)
def test_unless_told_there_are_ten_evaluations_in_a_budget(budget: Budget, seconds: float) -> None:
    assert looked_at(pace(budget=budget), 50, seconds) == [5, 10, 15, 20, 25, 30, 35, 40, 45, 50]


def test_a_budget_of_few_steps_has_as_many_evaluations() -> None:
    assert looked_at(pace(budget=Budget(steps=3)), 3) == [1, 2, 3]


def test_checkpoints_come_with_evaluations_unless_told() -> None:
    now = Progress(step=20)
    assert pace(evaluate=Evaluate(every=20)).saves(now)
    assert not pace(evaluate=Evaluate(every=20), checkpoint=Checkpoint(every=30)).saves(now)
    now.step = 30
    often = pace(checkpoint=Checkpoint(every=30))
    assert often.saves(now)
    often.saved(now)
    assert not often.saves(now)


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget(steps=10), "budget.steps"),
        (Budget(examples=100), "budget.examples"),
        (Budget(steps=99, time=5.0), "budget.time"),
        (Budget(steps=99, target=0.9), "budget.target"),
    ],
)
def test_whichever_budget_is_spent_first_ends_training(budget: Budget, why: str) -> None:
    ended = pace(budget=budget, evaluate=Evaluate(score="right"))
    assert ended.over(Progress(step=9, examples=90, seconds=4.9, best=0.89)) is None
    assert ended.over(Progress(step=10, examples=100, seconds=5.0, best=0.9)) == why


def test_a_target_below_is_reached_from_above() -> None:
    loss = pace(budget=Budget(steps=99, target=0.5))
    assert loss.over(Progress(best=0.6)) is None
    assert loss.over(Progress(best=0.5)) == "budget.target"
    named = pace(budget=Budget(steps=99, target=9.0), evaluate=Evaluate(score="perplexity"))
    assert named.over(Progress(best=11.0)) is None
    assert named.over(Progress(best=8.5)) == "budget.target"


def test_a_wish_to_stop_comes_first_and_skips_the_evaluation() -> None:
    now = Progress(step=40, stopping=True)
    assert pace().over(now) == "stop"
    assert not pace().looks(now)
    assert pace().saves(now)


def test_scores_go_up_and_losses_down_unless_told() -> None:
    up = pace(evaluate=Evaluate(score="right"))
    assert judged(up, 0.1, 0.3, 0.2)[0] == [True, True, False]
    down = pace(evaluate=Evaluate(score="right", better="min"))
    assert judged(down, 0.3, 0.1, 0.2)[0] == [True, True, False]
    assert judged(pace(), 0.1, 0.3, 0.2)[0] == [True, True, False]


def test_of_equal_scores_the_later_is_kept_but_patience_wears() -> None:
    kept, now = judged(pace(evaluate=Evaluate(score="right")), 0.1, 0.1)
    assert (kept, now.stale) == ([True, True], 1)


def test_a_score_that_is_no_number_is_never_the_best() -> None:
    kept, now = judged(pace(evaluate=Evaluate(score="right")), NAN, 0.1, NAN)
    assert (kept, now.best, now.stale) == ([False, True, False], 0.1, 1)


def test_patience_ends_training_after_so_many_evaluations_without_a_better_score() -> None:
    patient = pace(evaluate=Evaluate(score="right", patience=2))
    assert patient.over(judged(patient, 0.5, 0.4)[1]) is None
    assert patient.over(judged(patient, 0.5, 0.4, 0.5)[1]) == "evaluate.patience"
    assert patient.over(judged(patient, 0.5, 0.4, 0.6, 0.5)[1]) is None


def test_without_a_valid_split_patience_does_not_wear() -> None:
    now = Progress()
    patient = pace(evaluate=Evaluate(score="right", patience=1))
    assert not patient.looked(now, {})
    assert patient.over(now) is None
