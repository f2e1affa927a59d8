import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

slow = partial(pytest.param, marks=pytest.mark.slow)
REPOSITORY = Path(__file__).resolve().parent.parent
LINT = str(Path(sys.executable).with_name("lint-imports"))


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and words of lint-imports on the package in `folder`."""
    settings = ["--config", str(folder / "pyproject.toml"), "--no-cache"]
    environ = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = subprocess.run(
        [LINT, *settings], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_every_room_keeps_to_its_floor() -> None:
    code, words = lint(REPOSITORY)
    assert code == 0, words


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("turnaround/stray.py", "", "Floors"),
        slow("turnaround/spec/job.py", "import turnaround.journal", "Floors"),
        slow(
            "turnaround/engine/metrics.py", "import turnaround.engine.loop", "Floors of the engine"
        ),
        (
            "turnaround/cli/verbs/ls.py",
            "import turnaround.worker",
            "The control side never loads torch",
        ),
        (
            "turnaround/engine/loop.py",
            "import rich",
            "The engine knows nothing of the control side",
        ),
        slow("turnaround/plan/checks.py", "import hydra", "hydra has one door"),
        ("turnaround/launch/pool.py", "import ray", "ray has one door"),
    ],
)
def test_a_wrong_import_breaks_its_contract(
    tmp_path: Path, file: str, line: str, contract: str
) -> None:
    shutil.copytree(REPOSITORY / "turnaround", tmp_path / "turnaround")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as room:
        room.write(f"\n{line}\n")
    code, words = lint(tmp_path)
    assert code == 1
    assert f"{contract} BROKEN" in words
