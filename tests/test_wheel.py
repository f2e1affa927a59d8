import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel lies unpacked, as pip would leave it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", folder], cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_every_recipe_and_every_file_of_conf(installed: Path) -> None:
    shipped = installed / "turnaround" / "shipped"
    for shelf, kind in (("recipes", "*.py"), ("conf", "*.yaml")):
        inside = {file.relative_to(shipped) for file in shipped.glob(f"{shelf}/**/{kind}")}
        here = {file.relative_to(REPOSITORY) for file in REPOSITORY.glob(f"{shelf}/**/{kind}")}
        assert inside == here


def test_the_shipped_recipes_are_found_from_any_folder(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "turnaround", "plan", "recipe=seq2seq", "budget=smoke"]
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    plan = subprocess.run(
        [*command, "--json"], cwd=tmp_path, env=environ, check=True, capture_output=True
    )
    fields = json.loads(plan.stdout)
    assert fields["budget"]["steps"] == 2
    assert fields["place"]["project"] == str(tmp_path)


def test_a_recipe_of_ones_own_comes_before_the_shipped_one(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "seq2seq.py").write_text('"""Mine."""\n')
    command = [sys.executable, "-m", "turnaround", "recipes"]
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    listed = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
    assert b"Mine." in listed.stdout
