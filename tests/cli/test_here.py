"""`cluster=inline`: the run is this very process, and Ctrl-C saves it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.projects import WORDS, make_project
from turnaround.journal import Journal
from turnaround.spec import Status

LONG = ("recipe.pause=0.02", "budget.steps=400", "checkpoint.every=5", "cluster=inline")


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
    deadline = time.monotonic() + 150
    while not saved(journal):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=150)
    run = journal.runs()[0]
    assert (process.returncode, err) == (130, "")
    assert run.status is Status.STOPPED
    assert out.startswith(f"{run.id} RUNNING\n")
    assert f"  go on   turnaround resume {run.id}\n" in out

    process = start(project, "resume", run.id, "--json")
    out, err = process.communicate(timeout=150)
    told = json.loads(out)
    assert process.returncode == 0
    assert (told["id"], told["attempt"], told["step"]) == (run.id, 2, 400)
    assert err.startswith(f"{run.id} RUNNING (attempt 2)\n")


def test_a_run_starts_from_what_another_has_learnt(ask, tmp_path, monkeypatch, journal) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project"))
    words = ("run", *WORDS, "cluster=inline", "optim.lr=0.1")
    assert ask(*words, "--name", "first").code == 0
    again = (*words, "init_from=first", "budget.steps=2", "evaluate.every=1")
    said = ask(*again)
    assert said.code == 0, said.err
    second, first = journal.runs()
    told = f"init_from={first.id}: 2 of 2 tensors are those of best-00000040"
    assert f"notice: {told}\n" in said.out
    assert second.summary["values"]["valid/loss"] <= first.summary["values"]["valid/loss"] * 2
    assert f"{second.id} answered this" in ask(*again).out  # the same question, asked by a name
    assert "init_from=none: run none is not in the journal" in ask(*words, "init_from=none").err


def test_a_run_that_is_resumed_is_shown_whoever_had_the_same_process_id(
    ask, tmp_path, monkeypatch, journal
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project"))
    ask("run", *WORDS, "cluster=inline")
    (mine,) = journal.runs()
    journal.update(mine.id, status=Status.STOPPED, exit_code=75)
    other = f"{os.getpid()}:12345.0"  # in another container
    journal.submit(journal.plan(mine.id), "steady-other", owner=other)
    said = ask("resume", mine.id, "--json")
    assert (said.code, json.loads(said.out)["id"]) == (0, mine.id)
    assert said.err.startswith(f"{mine.id} RUNNING (attempt 2)\n")


def test_nobody_can_be_left_to_carry_it_out(ask, tmp_path, monkeypatch, journal) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project"))
    said = ask("run", *WORDS, "cluster=inline", "--detach")
    assert said.code == 2
    assert said.err == (
        "ConfigError: cluster=inline with --detach has nobody to carry it out\n  → choose one\n"
    )
    assert journal.runs() == []
    assert not (journal.root / "snapshots").exists()


def test_a_run_goes_on_where_its_lines_find_no_room(ask, tmp_path, monkeypatch, journal) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(make_project(tmp_path / "project"))
    monkeypatch.setattr("turnaround.cli.views.lines.Lines.say", full)
    said = ask("run", *WORDS, "cluster=inline", "--json")
    assert (said.code, json.loads(said.out)["status"]) == (0, "SUCCEEDED")
