"""The driver of a remote run, without a cluster: the test is its scheduler."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.errors import JournalError
from turnaround.journal import Journal
from turnaround.pool.head import driver
from turnaround.pool.messages import wire
from turnaround.pool.places import Places
from turnaround.spec import Status


def test_a_run_that_ends_as_it_is_asked_to_stop_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    run = journal.submit(example_plan(), "lm-abcde").id
    (journal.folder(run) / "log.txt").touch()

    def refuse(path: Path, request: dict[str, Any]) -> None:
        journal.mark(run, Status.SUCCEEDED, exit_code=0)
        raise JournalError(f"run {run} is over already", "turnaround ls lists the runs")

    monkeypatch.setattr(wire, "ask", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    *_, last = driver._follow(Places(tmp_path), run, [15])
    assert last["row"]["status"] == "SUCCEEDED"
