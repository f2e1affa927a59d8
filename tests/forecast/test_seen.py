import pytest

from turnaround.forecast.seen import MOST, Seen
from turnaround.spec import Event


def ledger(step: int, when: float, stepping: float, looking: float = 0.0, rank: int = 0) -> Event:
    rows = {"build": 1.0, "compute": stepping, "evaluate": looking}
    return Event("ledger", {"step": step, "began": 0.0, "rows": rows}, when, 1, rank)


def look(step: int, when: float) -> Event:
    return Event("metrics", {"step": step, "split": "valid", "values": {}, "seconds": when}, when)


def train(step: int, when: float) -> Event:
    values = {"loss": 1.0}
    data = {"step": step, "split": "train", "values": values, "seconds": when}
    return Event("metrics", data, when)


def running(when: float) -> Event:
    return Event("status", {"status": "RUNNING", "reason": ""}, when)


def fold(*events: Event) -> Seen:
    seen = Seen()
    for event in events:
        seen.add(event)
    return seen


def test_steps_and_evaluations_are_told_apart() -> None:
    seen = fold(running(0), ledger(1, 1.5, 0.5), look(10, 3.0), ledger(21, 4.5, 2.5, 1.0))
    pace = seen.pace()
    assert pace is not None
    assert pace.step == pytest.approx(0.1)  # the first step, which is slow, is not among them
    assert (seen.looks, seen.looking, seen.looked) == (1, 1.0, 10)
    assert seen.at == 4.5


def test_steps_since_the_last_ledger_count_unless_an_evaluation_was_among_them() -> None:
    begun = [running(0), ledger(1, 1.0, 0.1)]
    pace = fold(*begun, train(11, 2.0)).pace()
    assert pace is not None
    assert pace.step == pytest.approx(0.1)
    assert fold(*begun, train(2, 1.01), look(2, 9.0)).pace() is None


def test_a_new_attempt_is_not_measured_against_the_old_one() -> None:
    seen = fold(running(0), ledger(50, 5.0, 4.0), running(60.0))
    assert not seen.stepped
    assert (seen.step, seen.at) == (0, 60.0)
    seen.add(ledger(40, 70.0, 0.5))
    assert seen.stretches == []


def test_other_ranks_are_not_heard() -> None:
    assert fold(ledger(50, 5.0, 4.0, rank=1)) == Seen()


def test_a_long_run_keeps_few_stretches() -> None:
    events = [ledger(step, step / 2, step / 2) for step in range(1, 5000)]
    seen = fold(running(0), *events)
    assert len(seen.stretches) <= MOST
    assert sum(stretch.steps for stretch in seen.stretches) == 4998


def test_too_little_is_no_pace_but_what_the_run_says_is() -> None:
    assert fold(running(0)).pace() is None
    told = {"step": 10, "steps": 300, "examples": 640, "rate": 320.0, "loss": 1.0}
    pace = fold(running(0), Event("progress", told, 2.0)).pace()
    assert pace is not None
    assert pace.step == pytest.approx(0.2)
