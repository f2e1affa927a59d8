"""`cluster=inline`: the run is this very process, and Ctrl-C saves it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.projects import WORDS, make_project
from turnaround.journal import Journal
from turnaround.spec import Status

LONG = ("recipe.pause=0.01", "budget.steps=400", "checkpoint.every=5", "cluster=inline")


def start(project: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "turnaround", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=project, stdout=pipe, stderr=pipe, text=True)


def saved(journal: Journal) -> bool:
    return any(e.kind == "checkpoint" for run in journal.runs() for e in journal.events(run.id))


@pytest.mark.slow
def test_ctrl_c_saves_and_resume_goes_on(journal: Journal, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    process = start(project, "run", *WORDS, *LONG)
    deadline = time.monotonic() + 60
    while not saved(journal):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    run = journal.runs()[0]
    assert (process.returncode, err) == (130, "")
    assert run.status is Status.STOPPED
    assert out.startswith(f"{run.id} RUNNING\n")
    assert f"  go on   turnaround resume {run.id}\n" in out

    process = start(project, "resume", run.id, "--json")
    out, err = process.communicate(timeout=60)
    told = json.loads(out)
    assert process.returncode == 0
    assert (told["id"], told["attempt"], told["step"]) == (run.id, 2, 400)
    assert err.startswith(f"{run.id} RUNNING (attempt 2)\n")


def test_nobody_can_be_left_to_carry_it_out(ask, tmp_path, monkeypatch, journal) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project"))
    said = ask("run", *WORDS, "cluster=inline", "--detach")
    assert said.code == 2
    assert said.err == (
        "ConfigError: cluster=inline with --detach has nobody to carry it out\n  → choose one\n"
    )
    assert journal.runs() == []
    assert not (journal.root / "snapshots").exists()
