"""A workshop with an empty store for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workshop import Workshop
from turnaround.tracking.start import ENVIRON, stop


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blank: Path) -> Iterator[Workshop]:
    """A project with an empty store, and no recorder left when the test is over."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    workshop = Workshop(tmp_path)
    shutil.copy(blank, workshop.database)
    yield workshop
    stop(workshop.home)
