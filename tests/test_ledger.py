"""The ledger closes: every moment from key press to recorded answer is in one row."""

from __future__ import annotations

from typing import Any

import pytest

from turnaround.ledger import settle
from turnaround.spec import Event


def status(when: float, name: str, attempt: int = 0) -> Event:
    return Event("status", {"status": name, "reason": ""}, when, attempt)


def worked(when: float, began: float, step: int, **rows: float) -> Event:
    return Event("ledger", {"step": step, "began": began, "rows": rows}, when, 1)


def trained(when: float, step: int) -> Event:
    return Event("metrics", {"split": "train", "step": step, "values": {}}, when, 1)


SPANS = Event("spans", {"began": 100.0, "rows": {"cli": 0.2, "plan": 0.3, "snapshot": 0.1}}, 100.7)
PLAIN: list[Event] = [
    SPANS,
    status(100.7, "QUEUED"),
    status(102.0, "PENDING", 1),
    status(102.1, "RUNNING", 1),
    worked(104.0, 102.05, 10, spawn=0.05, build=0.9, compute=1.0),
    worked(106.0, 102.05, 30, spawn=0.05, build=0.9, compute=2.5, data=0.4, other=0.1),
    status(106.5, "SUCCEEDED", 1),
    Event("recorded", {}, 107.0, 1),
]


LOST: list[Event] = [
    *PLAIN[:4],
    worked(104.0, 102.05, 10, spawn=0.05, build=0.9, compute=1.0),
    trained(104.0, 10),
    status(105.0, "QUEUED", 1),
    status(105.1, "PENDING", 2),
    worked(107.0, 105.2, 8, spawn=0.1, build=0.7, compute=1.0),
    worked(109.0, 105.2, 20, spawn=0.1, build=0.7, compute=3.0),
    status(109.5, "SUCCEEDED", 2),
]


def rows(events: list[Event], now: float = 999.0) -> dict[str, float]:
    account = settle(events, now)
    return {row: round(seconds, 6) for row, seconds in account.rows.items() if seconds}


def test_every_moment_is_in_one_row() -> None:
    account = settle(PLAIN, 999.0)
    assert account.total == pytest.approx(107.0 - 100.0)
    assert rows(PLAIN) == {
        "cli": 0.3,  # 0.2 and what was left until the queue had it
        "plan": 0.3,
        "snapshot": 0.1,
        "queue": 1.3,
        "place": 0.05,
        "spawn": 0.05,
        "build": 0.9,
        "compute": 2.5,
        "data": 0.4,
        "other": 0.1,
        "finish": 1.0,
    }


def test_devices_are_paid_for_while_they_are_held() -> None:
    account = settle(PLAIN, 999.0, devices=4)
    assert "queue" not in account.device_seconds
    assert account.device_seconds["compute"] == pytest.approx(10.0)
    assert account.device_seconds["finish"] == pytest.approx(4 * 0.5)  # not until it is recorded
    assert sum(account.device_seconds.values()) == pytest.approx(4 * (106.5 - 102.0))


def test_a_run_that_waits_is_charged_up_to_now() -> None:
    assert rows(PLAIN[:2], now=105.7)["queue"] == pytest.approx(5.0)


def test_a_fault_costs_recovery_and_steps_done_again() -> None:
    found = rows(LOST)
    assert settle(LOST, 999.0).total == pytest.approx(9.5)
    assert found["recover"] == pytest.approx(1.0 + 0.1 + 0.1 + 0.8)
    # All up to step 8, and of the 12 steps up to step 20 the 2 until step 10 was reached again.
    assert found["replay"] == pytest.approx(1.0 + 2.0 * 2 / 12)
    assert found["compute"] == pytest.approx(1.0 + 2.0 * 10 / 12)


def test_a_run_that_made_room_has_no_fault_and_waits_in_the_queue() -> None:
    room = [
        *LOST[:6],
        Event("yields", {"to": "lm-abcde"}, 104.5, 1),
        status(105.0, "QUEUED", 1),
        status(205.0, "PENDING", 2),
        worked(209.0, 205.1, 20, spawn=0.1, build=0.7, compute=3.0),
        status(209.5, "SUCCEEDED", 2),
    ]
    found, account = rows(room), settle(room, 999.0)
    assert account.total == pytest.approx(109.5)
    assert not {"recover", "replay"} & {*found}
    assert found["queue"] == pytest.approx(1.3 + 100)
    assert found["spawn"] == pytest.approx(0.05 + 0.1)
    assert found["compute"] == pytest.approx(1.0 + 3.0)
    assert account.attempts[1].rows["finish"] == pytest.approx(105.0 - 104.0)
    assert account.attempts[2].rows["queue"] == pytest.approx(100)
    assert account.attempts[1].device_seconds["finish"] == pytest.approx(1.0)
    assert "queue" not in account.device_seconds
    fault = rows([*room[:-1], status(209.5, "QUEUED", 2)], now=210.0)
    assert fault["recover"] == pytest.approx(210.0 - 208.9)  # it has made room once


def test_a_pause_between_stop_and_resume_is_not_counted() -> None:
    paused: list[Event] = [
        *PLAIN[:6],
        status(106.5, "STOPPED", 1),
        status(500.0, "QUEUED", 1),
        status(500.5, "PENDING", 2),
        worked(502.0, 500.6, 40, spawn=0.1, compute=1.0),
        status(502.0, "SUCCEEDED", 2),
    ]
    assert settle(paused, 999.0).total == pytest.approx(6.5 + 2.0)
    assert "recover" not in rows(paused)


def test_each_attempt_has_an_account_of_its_own() -> None:
    account = settle(LOST, 999.0, devices=2)
    first, second = account.attempts[1], account.attempts[2]
    assert first.total == pytest.approx(104.0 - 100.0)  # its last word
    assert second.total == pytest.approx(109.5 - 104.0)
    assert second.rows["recover"] == account.rows["recover"] > first.rows["recover"] == 0
    for row, seconds in account.rows.items():
        assert first.rows[row] + second.rows[row] == pytest.approx(seconds)
    held = 2 * (105.0 - 102.0 + 109.5 - 105.1)  # not while the second waited its turn
    assert sum(account.device_seconds.values()) == pytest.approx(held)


def test_going_on_has_a_key_press_of_its_own() -> None:
    again = {"began": 499.0, "rows": {"cli": 0.2, "pool": 0.5}}
    events: list[Event] = [
        *PLAIN[:6],
        status(106.5, "STOPPED", 1),
        Event("recorded", {}, 107.0, 1),
        Event("spans", again, 500.0, 1),
        status(500.0, "QUEUED", 1),
        status(500.5, "PENDING", 2),
        worked(502.0, 500.6, 40, spawn=0.1, compute=1.3),
        status(502.0, "SUCCEEDED", 2),
    ]
    account = settle(events, 999.0)
    assert account.total == pytest.approx(7.0 + 3.0)
    assert account.attempts[2].total == pytest.approx(3.0)
    assert account.attempts[2].rows["cli"] == pytest.approx(0.5)  # and what was left until QUEUED
    assert account.attempts[1].rows["finish"] == pytest.approx(1.0)


def test_an_inline_run_waits_for_no_device() -> None:
    events: list[Event] = [
        *PLAIN[:2],
        status(100.8, "RUNNING", 1),
        worked(104.0, 101.0, 10, spawn=2.0, compute=1.0),
        status(104.0, "STOPPED", 1),
        status(300.0, "RUNNING", 2),
        worked(302.0, 300.0, 20, spawn=1.0, compute=1.0),
        status(302.0, "SUCCEEDED", 2),
    ]
    assert rows(events) == {
        "cli": 0.3,
        "plan": 0.3,
        "snapshot": 0.1,
        "place": 0.3,
        "spawn": 3.0,
        "compute": 2.0,
    }
    assert settle(events, 999.0).attempts[2].total == pytest.approx(2.0)


def test_a_row_that_only_a_newer_worker_knows_is_other() -> None:
    events = [*PLAIN[:4], worked(104.0, 102.05, 10, dream=1.5)]
    assert rows(events, now=104.0)["other"] == pytest.approx(1.5)


@pytest.mark.parametrize("cut", range(1, len(PLAIN) + 1))
def test_at_no_moment_is_there_more_than_has_passed(cut: int) -> None:
    events = PLAIN[:cut]
    now: Any = events[-1].time
    assert settle(events, now).total <= now - 100.0 + 1e-9
