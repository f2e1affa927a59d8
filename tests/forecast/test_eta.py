"""From runs before and from the run itself to how long it takes."""

import random
from typing import Any

import pytest

from turnaround.cost import Past
from turnaround.forecast.eta import Forecast, Work
from turnaround.forecast.seen import Seen
from turnaround.spec import Event

LIKE = {"recipe.width": 64, "batch": 32, "layout": "single"}
GOAL = {"steps": 1000, "batch": 32}


def past(step: float = 0.01, steps: int = 1000, like: Any = None, **goal: Any) -> Past:
    asked = {"like": {**LIKE, **(like or {})}, "goal": {**GOAL, "steps": steps, **goal}}
    cost = {"start": 1.0, "stepping": step * steps, "looking": 2.0, "finish": 0.5, "steps": steps}
    return Past(asked, cost, ended=0.0)


def forecast(*history: Past, **goal: Any) -> Forecast:
    return Forecast({"like": LIKE, "goal": {**GOAL, **goal}}, lambda: list(history), now=9000.0)


def run_until(step: int, pace: float = 0.01, look: float = 0.0) -> Seen:
    """What is seen of a run with ten evaluations at that step."""
    seen = Seen()
    seen.add(Event("status", {"status": "RUNNING", "reason": ""}, 0.0))
    for at in range(1, step + 1, 50):
        looks = at // 100
        if at > 1 and at // 100 > (at - 50) // 100:
            data = {"step": at // 100 * 100, "split": "valid", "values": {}}
            seen.add(Event("metrics", data, at * pace))
        rows = {"build": 1.0, "compute": at * pace, "evaluate": looks * look}
        word = {"step": at, "began": 0.0, "rows": rows}
        told = {"step": at, "examples": 32 * at, "rate": 32 / pace}
        when = 1.0 + at * pace + looks * look
        seen.add(Event("progress", told, when))
        seen.add(Event("ledger", word, when))
    return seen


def test_runs_like_it_tell_the_whole_before_it_starts() -> None:
    whole = forecast(*[past()] * 5).whole()
    assert whole is not None
    assert whole.middle == pytest.approx(13.5, rel=0.01)  # 1 + 10 + 2 + 0.5
    assert whole.interval().low < 13.5 < whole.interval().high


def test_twice_the_steps_take_twice_the_steps_time() -> None:
    whole = forecast(*[past()] * 5, steps=2000).whole()
    assert whole is not None
    assert whole.middle == pytest.approx(23.5, rel=0.01)


def test_nothing_known_is_nothing_said() -> None:
    assert forecast().whole() is None
    assert forecast().left(Seen(), 0.0) is None
    assert Forecast({}, list, now=0.0).whole() is None


def test_runs_of_quite_other_settings_are_no_ground_for_a_guess() -> None:
    other = past(like={"recipe.width": 8192, "batch": 4, "layout": "ddp"})
    assert forecast(other).whole() is None


def test_without_history_the_runs_own_pace_tells_and_the_interval_is_wider() -> None:
    seen = run_until(501)
    alone, known = forecast().left(seen, seen.at or 0), forecast(*[past()] * 8).left(seen, 6.01)
    assert alone is not None
    assert known is not None
    assert alone.low < 5.0 < alone.high
    assert known.high / known.low < alone.high / alone.low


def test_it_gets_better_as_the_run_goes() -> None:
    at = [forecast(*[past()] * 3).left(seen := run_until(s), seen.at or 0) for s in (101, 501, 901)]
    wide = [left.high - left.low for left in at if left]
    assert len(wide) == 3
    assert wide == sorted(wide, reverse=True)


def test_a_run_that_is_slower_than_those_before_it_is_believed() -> None:
    seen = run_until(501, pace=0.03)
    left = forecast(*[past()] * 8).left(seen, seen.at or 0)
    assert left is not None
    assert 13 < left.middle < 22  # 500 steps of 30 ms, evaluations and the end; not of 10 ms


def test_evaluations_that_the_run_has_shown_count() -> None:
    quick, slow = run_until(501), run_until(501, look=1.0)
    left = [forecast().left(seen, seen.at or 0) for seen in (quick, slow)]
    assert left[0] is not None
    assert left[1] is not None
    assert left[1].middle > left[0].middle + 3  # five more, and a finish


def test_time_that_passes_without_a_word_is_taken_off() -> None:
    seen = run_until(501)
    eta = forecast(*[past()] * 8)
    now, later = eta.left(seen, seen.at or 0), eta.left(seen, (seen.at or 0) + 3)
    assert now is not None
    assert later is not None
    assert later.middle == pytest.approx(now.middle - 3, abs=0.5)


def test_a_budget_of_time_ends_it() -> None:
    left = forecast(*[past()] * 3, steps=None, time=60.0).left(seen := run_until(101), seen.at or 0)
    assert left is not None
    assert left.middle == pytest.approx(60.7, abs=1.0)  # a last evaluation and the end on top


def test_without_an_end_nothing_is_promised_unless_runs_before_found_one() -> None:
    seen = run_until(101)
    assert forecast(steps=None, target=0.9).left(seen, 2.0) is None
    left = forecast(*[past(target=0.9)] * 4, steps=None, target=0.9).left(seen, 2.0)
    assert left is not None
    assert left.low < 9.0 < left.high * 1.2


def test_patience_may_end_it_at_any_time() -> None:
    seen = run_until(501)
    sure, may = forecast().left(seen, 6.0), forecast(patience=2).left(seen, 6.0)
    assert sure is not None
    assert may is not None
    assert may.low < 0.6 * sure.low


def test_a_run_that_waits_again_starts_again() -> None:
    seen = run_until(501)
    seen.add(Event("status", {"status": "QUEUED", "reason": ""}, 7.0))
    again = forecast(*[past()] * 8).left(seen, 100.0)
    assert again is not None
    assert 5.5 < again.middle < 9.0  # the start, and the steps that are left


@pytest.mark.parametrize(
    ("goal", "step", "looks"),
    [
        ({"steps": 1000}, 99, 0),
        ({"steps": 1000}, 1000, 10),
        ({"steps": 5}, 5, 10),
        ({"steps": 100, "every": 30}, 99, 3),
        ({"steps": 100, "every": 30}, 100, 4),
        ({"examples": 6400, "batch": 64}, 50, 5),
        ({"time": 60.0}, 500, 0),
    ],
)
def test_evaluations_are_counted_as_they_fall_due(
    goal: dict[str, Any], step: int, looks: int
) -> None:
    assert Work.of(goal).looks(step) == looks


def test_four_of_five_made_up_runs_end_in_their_interval() -> None:
    rng, inside, told = random.Random(4), 0, 0
    before: list[Past] = []
    for number in range(120):
        steps, width = rng.choice((300, 1000)), rng.choice((32, 64, 128))
        run, off = past(width / 6400, steps, {"recipe.width": width}), rng.lognormvariate(0, 0.1)
        cost = {part: run.cost[part] * (1 if part == "steps" else off) for part in run.cost}
        eta = Forecast(run.asked, before.copy, now=number * 1000.0)
        if guess := eta.whole():
            told += 1
            parts = ("start", "stepping", "looking", "finish")
            inside += sum(cost[part] for part in parts) in guess.interval()
        before.insert(0, Past(run.asked, cost, number * 1000.0))
    assert told > 110
    assert 0.7 <= inside / told <= 0.93
