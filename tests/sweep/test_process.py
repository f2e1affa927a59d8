"""The driver's process, as far as it can be looked at without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps import Night, asked
from turnaround.spec import Status
from turnaround.sweep import process, report
from turnaround.sweep.drive import ENDED


def test_a_report_that_fails_leaves_the_sweep_what_it_came_to(
    project: Path, own: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,1"), own)
    night.drive()

    def unwritable(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(report, "made", unwritable)
    monkeypatch.setattr(process, "_tended", lambda *_, **__: True)
    monkeypatch.setattr(process, "_hand", lambda *_: night.hand)
    monkeypatch.setattr(process, "_carry", lambda *_: (Status.SUCCEEDED, ENDED))
    monkeypatch.setattr(process, "NICE", 0)
    process._driven(own, night.sweep, {"attempt": 2}, [])
    row = night.hand.journal.run(night.sweep)
    assert (row.status, row.reason, row.exit_code) == (Status.SUCCEEDED, "", 0)
    assert f"turnaround report {night.sweep} tries again" in caplog.text
