import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.projects import TWO
from turnaround.cli.main import obey
from turnaround.launch.pool import Pool

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
RECIPE = re.search(r"```python\n(.*?)```", README, re.DOTALL)
DEFAULTS = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
WORDS = [
    shlex.split(line, comments=True)[1:]
    for line in README.splitlines()
    if line.startswith("turnaround run recipe=spirals")
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that holds the README's recipe and nothing else."""
    assert RECIPE
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "spirals.py").write_text(RECIPE[1])
    return tmp_path


def turnaround(*words: str, cwd: Path) -> str:
    """What the command prints; it has to succeed."""
    command = [sys.executable, "-m", "turnaround", *words]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_of_the_readme_can_be_planned(
    project: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert obey(["plan", *words[1:], "--json"]) == 0


def test_the_defaults_of_the_readme_are_a_whole_question(project: Path) -> None:
    assert DEFAULTS
    (project / "conf" / "recipe").mkdir(parents=True)
    (project / "conf" / "recipe" / "spirals.yaml").write_text(DEFAULTS[1])
    plan = json.loads(turnaround("plan", "recipe=spirals", "--json", cwd=project))
    assert (plan["optim"]["lr"], plan["budget"]["steps"]) == (0.01, 1000)


@pytest.mark.ray
def test_the_recipe_of_the_readme_learns_what_it_says(project: Path, home: Path) -> None:
    Pool(home).ensure(print, TWO)
    words = [*WORDS[0], "tracking=none", "--json"]
    told = json.loads(turnaround(*words, cwd=project).splitlines()[-1])
    assert told["summary"]["values"]["test/accuracy"] > 0.97
