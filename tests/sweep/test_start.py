"""Sweeps whose drivers are gone, as any command finds them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround.journal import Journal
from turnaround.sweep import start

NIGHT = {"window": {"begin": None, "end": 1e12, "device_seconds": None}}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """With a sweep that was being driven when the machine went down."""
    journal = Journal(tmp_path)
    journal.submit(example_plan(), "sweep-aaaaa")
    (journal.folder("sweep-aaaaa") / "sweep.json").write_text(json.dumps(NIGHT))
    mark(journal).parent.mkdir()
    mark(journal).touch()
    return journal


def mark(journal: Journal) -> Path:
    return journal.root / "driven" / "sweep-aaaaa"


def test_one_whose_driver_does_not_come_up_is_in_nobodys_way(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "WAKE", 0.2)
    (said,) = start.wake(journal.root)  # this one says nothing of what is to be tried
    assert said.startswith("sweep-aaaaa does not go on yet: the driver of ")
    assert mark(journal).exists()  # the next command tries again


def test_one_that_cannot_be_read_is_named(journal: Journal) -> None:
    (journal.folder("sweep-aaaaa") / "sweep.json").write_text('{"win')
    (said,) = start.wake(journal.root)
    assert said.startswith("sweep-aaaaa does not go on yet: ")


def test_one_that_is_gone_is_forgotten(journal: Journal) -> None:
    shutil.rmtree(journal.folder("sweep-aaaaa"))
    assert start.wake(journal.root) == []
    assert not mark(journal).exists()
