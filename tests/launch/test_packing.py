"""Copies of a run on one device, side by side, in processes that are thrown away."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.engine.trials import trial_plan
from tests.projects import make_project
from turnaround.errors import LaunchError
from turnaround.launch import packing
from turnaround.launch.packing import measured
from turnaround.spec import Data, Evaluate, Place, Plan, Recipe, to_json

ASKER = """
import sys
from pathlib import Path
from turnaround.launch.packing import measured
from turnaround.spec import Plan, from_json
home = Path(sys.argv[1])
measured(from_json(Plan, (home / "plan.json").read_text()), home)
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]


def plan(project: Path, **knobs: float) -> Plan:
    """Steps that wait as long as is asked, and compute next to nothing."""
    place = Place(str(project), sys.executable, "recipes/steady.py", "c0de", "da7a")
    made = trial_plan(recipe=Recipe("steady", {**knobs}), data=Data(batch=16), place=place)
    made = replace(made, evaluate=Evaluate())
    return replace(made, cluster=replace(made.cluster, device="cpu", threads=1))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """At most two copies are tried."""
    monkeypatch.setattr(packing, "PARTS", (1.0, 0.5))
    return make_project(tmp_path / "project")


def test_runs_that_wait_share_a_core_and_leave_nothing(project: Path, tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    found = measured(plan(project, pause=0.1), tmp_path / "home")
    assert (found.copies, round(found.gain)) == (2, 2)
    assert 100 < found.alone <= 160  # 16 in a tenth of a second
    assert 1e8 < found.memory < 4e9
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before


def test_runs_that_compute_do_not(project: Path, tmp_path: Path) -> None:
    found = measured(plan(project), tmp_path / "home")
    assert (found.copies, found.gain) == (1, 1.0)
    assert "2 would do" in found.more


def test_copies_do_not_outlive_who_asked(project: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(to_json(plan(project, pause=0.1)))
    asker = subprocess.Popen([sys.executable, "-c", ASKER, str(tmp_path)])
    copies: list[psutil.Process] = []
    while not copies:
        copies = psutil.Process(asker.pid).children()
        time.sleep(0.1)
    asker.kill()
    asker.wait()
    _, left = psutil.wait_procs(copies, timeout=60)
    assert not left


def test_a_run_that_fails_says_so(project: Path, tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="must be non-negative"):
        measured(plan(project, pause=-1.0), tmp_path / "home")
