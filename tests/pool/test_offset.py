"""Events of a machine whose clock is wrong get the times that ours would have given them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from turnaround.journal import Journal
from turnaround.ledger import settle
from turnaround.pool.messages.mail import Mail
from turnaround.pool.messages.offset import Clocks, dated, measure
from turnaround.spec import Event, to_json

WRONG = 7.5  # seconds
ROWS = {"spawn": 0.5, "build": 1.5, "compute": 6.0, "optimize": 2.0}


def test_the_quickest_answer_tells_the_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, now = iter([0.03, 0.001, 0.02, 0.04, 0.02]), [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def ask() -> float:
        now[0] += next(slow)  # on the way there, so that the midpoint is off by half of it
        return time.time() - WRONG

    assert measure(ask) == pytest.approx(-WRONG, abs=0.005)


def test_clocks_that_agree_are_left_alone() -> None:
    assert measure(time.time) == pytest.approx(0.0, abs=1e-6)  # a float's last digit is 2.4e-7


def test_a_machine_is_asked_again_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, now = [2.0], [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clocks = Clocks(lambda machine: time.time() + wrong[0])
    assert clocks.ahead("b") == 0.0
    for later, ahead in ((0.0, 2.0), (30.0, 2.0), (31.0, 5.0)):
        now[0] += later
        clocks.look("b")
        wrong[0] = 5.0
        assert clocks.ahead("b") == pytest.approx(ahead, abs=0.01)


def test_what_is_no_event_stays_as_it_is() -> None:
    assert dated(b'{"half a li', 3.0) == b'{"half a li'
    assert dated(b"[]", 3.0) == b"[]"


def told(ahead: float) -> list[Event]:
    """A run on a machine whose clock is ahead, between words of the scheduler, whose is not."""
    word = {"step": 9, "began": 101.0 + ahead, "rows": ROWS}
    there = Event("ledger", word, 111.0 + ahead, attempt=1, seq=1)
    return [
        Event("spans", {"began": 99.0, "rows": {"cli": 0.25, "plan": 0.25}}, 99.5),
        Event("status", {"status": "QUEUED", "reason": ""}, 100.0),
        Event("status", {"status": "PENDING", "reason": ""}, 100.5, 1),
        there,
        Event("status", {"status": "SUCCEEDED", "reason": ""}, 111.25, 1),
    ]


@pytest.mark.parametrize("wrong", [WRONG, -WRONG])
def test_rows_add_up_although_the_clock_is_wrong(wrong: float, tmp_path: Path) -> None:
    right = settle(told(0.0), now=200.0)
    assert right.total == pytest.approx(111.25 - 99.0)
    assert settle(told(wrong), now=200.0).rows != pytest.approx(right.rows)
    clocks = Clocks(lambda machine: time.time() + wrong)
    clocks.look("b")
    journal = Journal(tmp_path)
    journal.folder("run").mkdir(parents=True)
    mail = Mail(journal, lambda *words: pytest.fail("nothing has to be fetched"))
    for event in told(wrong):
        if event.kind == "ledger":
            news = {"events": f"{to_json(event)}\n", "log": ""}
            mail.receive("b", "run", news, clocks.ahead("b"))
        else:
            journal.append("run", event)
    mended = settle(journal.events("run"), now=200.0)
    assert mended.rows == pytest.approx(right.rows, abs=0.01)
    assert mended.total == pytest.approx(right.total, abs=0.01)
