"""A project with one recipe, and a home of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With the recipe `steady`."""
    return make_project(tmp_path / "project")


@pytest.fixture
def own(well_read: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that no other test uses."""
    monkeypatch.setenv("TURNAROUND_HOME", str(well_read))
    return well_read
