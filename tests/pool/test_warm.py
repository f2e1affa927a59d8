"""A warm agent is as good as a new interpreter: whatever ran before leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import projects
from tests.projects import STEADY, TWO, WORDS, over, planned
from turnaround.journal import Journal
from turnaround.launch.pool import Pool
from turnaround.spec import Status

RECIPES = {"steady": STEADY, "steep": STEADY.replace("Steady", "Steep").replace("3.0", "7.0")}


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of this test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = projects.make_project(tmp_path / "project")
    for name, text in RECIPES.items():
        (project / "recipes" / f"{name}.py").write_text(text)
    return project


def losses(journal: Journal, run: str) -> list[tuple[int, str, float]]:
    """Every point of the curve."""
    points = [event.data for event in journal.events(run) if event.kind == "metrics"]
    return [(point["step"], point["split"], point["values"]["loss"]) for point in points]


def cold(project: Path, home: Path, recipe: str) -> list[tuple[int, str, float]]:
    """Of a run in an interpreter of its own."""
    words = [*WORDS[1:], f"recipe={recipe}", "cluster=inline", "--again"]
    command = [sys.executable, "-m", "turnaround", "run", *words]
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=200)
    journal = Journal(home)
    return losses(journal, journal.runs("recipe=?", [recipe], limit=1)[0].id)


@pytest.mark.ray
@pytest.mark.slow
def test_two_recipes_by_turns_draw_the_curves_of_cold_starts(
    pool: Pool, project: Path, home: Path
) -> None:
    alone = {recipe: cold(project, home, recipe) for recipe in RECIPES}
    assert alone["steady"] != alone["steep"]
    for recipe in 4 * list(RECIPES):
        plan = planned(project, home, f"recipe={recipe}")
        row = over(pool, pool.submit(plan, again=True)[0].id)
        assert row.status is Status.SUCCEEDED, row.reason
        assert losses(pool.journal, row.id) == alone[recipe]
