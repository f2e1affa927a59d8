"""One verdict over all machines of a gang."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from turnaround.pool.node.outcome import Outcome, verdict
from turnaround.pool.scheduler.attempt import Attempt


def part(ranks: list[int], codes: dict[int, int], over: bool = True, **more: Any) -> dict[str, Any]:
    """A machine's word; codes were given in this order."""
    told = [[rank, code, float(when)] for when, (rank, code) in enumerate(codes.items())]
    outcome = {"exit_code": 0, "lost": False, "message": ""} if over else None
    state = {"running": not over, "codes": told, "stopping": False, "outcome": outcome}
    return {**state, "placement": {"ranks": ranks}, **more}


def of(*parts: dict[str, Any], size: int = 4, vital: int = 4) -> Attempt:
    return Attempt(size, vital, {str(i): part for i, part in enumerate(parts)})


def test_an_attempt_is_over_when_every_machine_says_so() -> None:
    done, busy = part([0, 1], {0: 0, 1: 0}), part([2, 3], {}, over=False)
    assert of(done, busy).outcome() is None
    assert not of(done, busy).decided
    assert of(done, part([2, 3], {2: 0, 3: 0})).outcome() == Outcome(0)


def test_the_rank_that_died_is_named_and_not_those_it_took_along() -> None:
    ends = of(part([0, 1], {0: 3, 1: 3}), part([2, 3], {3: -9, 2: 3}))
    assert ends.outcome() == Outcome(3, True, "rank 3 died (SIGKILL)")


def test_a_failure_on_one_machine_decides_for_the_others() -> None:
    ends = of(part([0, 1], {}, over=False), part([2, 3], {2: 1}, over=False))
    assert ends.decided


def test_a_machine_that_is_gone_takes_its_ranks_along() -> None:
    left = of(part([0, 1], {}, over=False))
    assert left.decided
    assert left.missing == [2, 3]
    ended = of(part([0, 1], {0: 3, 1: 3}))
    assert ended.outcome() == Outcome(3, True, "the machine of rank 2 was lost")
    assert ended.outcome("10.0.0.7 was lost") == Outcome(3, True, "10.0.0.7 was lost")


def test_a_lost_machine_without_vital_ranks_decides_nothing() -> None:
    assert not of(part([0, 1], {}, over=False), vital=2).decided
    assert of(part([0, 1], {0: 0, 1: 0}), vital=2).outcome() == Outcome(0)


def test_a_machine_that_could_not_start_its_part_says_why() -> None:
    why = Outcome(3, True, "the workers could not be started: no room")
    outcome = of(part([0, 1], {0: 3, 1: 3}), part([2, 3], {}, outcome=asdict(why))).outcome()
    assert outcome == why


def test_a_stopped_gang_is_stopped_wherever_its_ranks_were() -> None:
    halves = [part(ranks, dict.fromkeys(ranks, 75), stopping=True) for ranks in ([0, 1], [2, 3])]
    assert of(*halves).outcome() == Outcome(75)


def test_what_failed_by_itself_comes_before_what_lost_its_peers() -> None:
    assert verdict([(0, 3), (1, 4)], vital=2) == Outcome(4)
    assert verdict([(0, 3), (1, 3)], vital=2) == Outcome(3, True, "rank 0 lost its peers")


def test_who_is_stopped_while_all_meet_has_nothing_to_save() -> None:
    codes = [(1, -15), (0, 3)]  # rank 0 waited for rank 1 until it was ended
    nothing = Outcome(75, message="stopped before there was anything to save")
    assert verdict(codes, vital=2, stopping=True) == nothing
    assert verdict([(1, 143), (0, 3)], vital=2, stopping=True) == Outcome(143)
    assert "not saved within" in verdict([(0, 3), (1, 3)], vital=2, stopping=True).message
