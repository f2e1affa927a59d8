"""A project with one recipe, and a home of its own for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With the recipe `steady`."""
    return make_project(tmp_path / "project")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that no other test uses; in memory, where a commit costs nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        monkeypatch.setenv("TURNAROUND_HOME", str(Path(folder, "home")))
        yield Path(folder, "home")
