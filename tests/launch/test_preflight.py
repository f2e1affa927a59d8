"""A look at a plan's model by a child: nothing is started, and errors are those of a run."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from tests.engine.trials import PROJECT, trial_plan
from tests.projects import STEADY, TWO, make_project, planned
from turnaround.errors import ConfigError, LaunchError, RecipeError
from turnaround.journal import Journal
from turnaround.launch import preflight
from turnaround.launch.pool import Pool
from turnaround.spec import Evaluate, Recipe

TOWER = PROJECT / "recipes" / "tower.py"


@pytest.mark.slow
def test_a_child_of_its_own_tells_what_the_model_needs(tmp_path: Path) -> None:
    plan = trial_plan(recipe=Recipe("tower", {}))
    place = dataclasses.replace(plan.place, recipe_file="recipes/tower.py")
    found = preflight.look(dataclasses.replace(plan, place=place), TOWER, tmp_path / "home")
    assert (found.parameters, found.scores) == (2554, ["loss", "right"])
    assert {file.name for file in (tmp_path / "home").iterdir()} <= {"cache", "pool"}


@pytest.mark.slow
def test_what_the_recipe_raises_is_shown_with_its_line(tmp_path: Path) -> None:
    broken = STEADY.replace("return nn.Linear(1, 1)", "return nn.Linear(1, None)")
    project = make_project(tmp_path / "project", broken)
    plan = planned(project, tmp_path / "home")
    with pytest.raises(RecipeError, match=r'(?s)TypeError.*recipes/steady.py", line'):
        preflight.look(plan, project / "recipes" / "steady.py", tmp_path / "home")


@pytest.mark.ray
def test_a_warm_pool_does_it_without_a_run(home: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    pool, file = Pool(home), project / "recipes" / "steady.py"
    pool.ensure(print, TWO)
    before = len(Journal(home).runs())
    plan = planned(project, home)
    assert preflight.look(plan, file, home).parameters == 2
    asked = dataclasses.replace(plan, evaluate=Evaluate(score="acc"))
    with pytest.raises(ConfigError, match=r"evaluate.score=acc is not among the scores"):
        preflight.look(asked, file, home)
    assert len(Journal(home).runs()) == before
    assert not list((home / "runs").glob("preflight*"))


@pytest.mark.ray
def test_a_recipe_that_takes_too_long_is_not_waited_for(home: Path, tmp_path: Path) -> None:
    slow = STEADY.replace("return nn.Linear", "time.sleep(50); return nn.Linear")
    project = make_project(tmp_path / "project", slow)
    Pool(home).ensure(print, TWO)
    began = time.monotonic()
    with pytest.raises(LaunchError, match="no look at the model within 1 s"):
        preflight.look(planned(project, home), project / "recipes" / "steady.py", home, patience=1)
    assert time.monotonic() - began < 40
