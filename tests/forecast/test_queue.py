import pytest

from turnaround.forecast.guess import Guess
from turnaround.forecast.queue import Job, starts

TWO = {"cpu": 2, "cuda": 0}


def test_a_run_starts_when_those_before_it_leave_room() -> None:
    jobs = [
        Job("a", "cpu", 1, Guess(30.0, 0.0), running=True),
        Job("b", "cpu", 1, Guess(50.0, 0.0), running=True),
        Job("c", "cpu", 2, Guess(10.0, 0.0)),
        Job("d", "cpu", 1, Guess(10.0, 0.0)),
    ]
    found = starts(TWO, jobs)
    assert {run: wait.middle for run, wait in found.items()} == {"c": 50.0, "d": 60.0}


def test_nothing_overtakes() -> None:
    jobs = [
        Job("a", "cpu", 1, Guess(30.0, 0.0), running=True),
        Job("wide", "cpu", 2, Guess(10.0, 0.0)),
        Job("narrow", "cpu", 1, Guess(1.0, 0.0)),
    ]
    assert starts(TWO, jobs)["narrow"].middle == 40.0


def test_doubt_adds_up_along_the_queue() -> None:
    one = Job("a", "cpu", 2, Guess(30.0, 0.3), running=True)
    found = starts(TWO, [one, *(Job(name, "cpu", 2, Guess(30.0, 0.3)) for name in "bcd")])
    wide = {run: wait.high - wait.low for run, wait in found.items()}
    assert found["b"].middle == pytest.approx(30, rel=0.1)
    assert found["d"].middle == pytest.approx(90, rel=0.1)
    assert wide["b"] < wide["c"] < wide["d"]


def test_of_what_waits_for_the_unknown_nothing_is_said() -> None:
    jobs = [
        Job("a", "cpu", 1, None, running=True),
        Job("b", "cpu", 1, Guess(5.0, 0.1)),
        Job("c", "cpu", 1, Guess(5.0, 0.1)),
        Job("d", "cpu", 2, Guess(5.0, 0.1)),
        Job("e", "cuda", 1, Guess(5.0, 0.1)),
    ]
    assert set(starts(TWO, jobs)) == {"b", "c"}
    assert starts(TWO, jobs)["b"].high == 0.0


def test_an_empty_queue_has_no_starts() -> None:
    assert starts(TWO, []) == {}
