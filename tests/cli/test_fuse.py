"""`turnaround sweep … sweep.fuse=true`: refusals in this process, and whole sweeps on a pool."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.examples import example_plan
from tests.projects import STEADY, TWO, make_project
from turnaround.cli.running.steer import steer
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.pool.places import owner
from turnaround.spec import Status
from turnaround.sweep import start

WORDS = ["recipe=steady", "data.batch=16", "budget.steps=40", "evaluate.every=20"]
WORDS += ["cluster.device=cpu", "cluster.threads=1", "optim.lr=0.01,0.02,0.05,0.1,0.2,0.3"]
FUSIBLE = STEADY.replace("    config: Config\n", "    config: Config\n    fusible = True\n")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path / "project", FUSIBLE)
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.batch=2", "update.accumulate=2"], "trials with update.accumulate are trained one"),
        (["optim=lbfgs", "optim.clip=null"], "trials with optim=lbfgs are trained one by one"),
        (["sweep=random", "--for", "8h"], "how long trials take that are trained as one"),
    ],
)
def test_what_cannot_be_fused_is_refused(ask, project, words, said) -> None:
    told = ask("sweep", *WORDS, "sweep.fuse=true", *words)
    assert told.code == 2
    assert said in told.err
    assert "→" in told.err


def test_a_recipe_that_does_not_allow_it_is_refused(ask, project) -> None:
    (project / "recipes" / "steady.py").write_text(STEADY)
    told = ask("sweep", *WORDS, "sweep.fuse=true")
    assert told.code == 2
    assert "recipe steady does not allow it\n  → fusible = True in its class" in told.err


def test_one_of_them_is_stopped_by_a_word_to_it_alone(tmp_path: Path) -> None:
    journal, plan = Journal(tmp_path / "home"), example_plan()
    tags = {"sweep": "sweep-22222", "trial": "3"}
    inline = replace(plan, cluster=replace(plan.cluster, name="inline"), tags=tags)
    row = journal.submit(inline, "steady-22222", owner=owner())
    steer(journal, row).stop(row, "enough")
    assert (journal.folder(row.id) / "stop").exists()
    assert journal.run(row.id).reason == "enough"


# ── on a pool ──


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of this test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


def sweep(*words: str) -> list[str]:
    return [sys.executable, "-m", "turnaround", "sweep", *WORDS, "sweep.fuse=true", *words]


def until(ready: Callable[[], object], patience: float = 150.0) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.05)


RUNNING = "status = 'RUNNING' AND tags LIKE '%\"kind\": \"sweep\"%'"


def newest(journal: Journal) -> Run:
    return journal.runs('tags LIKE \'%"kind": "sweep"%\'', limit=1)[0]


def trials(journal: Journal, sweep: str) -> list[Run]:
    return journal.runs("tags LIKE ? AND tags LIKE '%\"trial\"%'", [f'%"sweep": "{sweep}"%'])


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(240)
def test_trials_that_are_trained_as_one_are_ordinary_runs_also_to_mlflow(
    pool: Pool, project: Path
) -> None:
    done = subprocess.run(sweep(), capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 of 6 trials trained" in done.stdout
    row = newest(pool.journal)
    found = trials(pool.journal, row.id)
    assert [run.status for run in found] == [Status.SUCCEEDED] * 6
    assert {run.tags["together"] for run in found} == {"3"}
    until(lambda: all(pool.journal.run(run.id).recorded for run in [row, *found]))
    with closing(sqlite3.connect(project / "mlflow.db")) as db:
        ours = "SELECT run_uuid FROM tags WHERE key='turnaround.run' AND value=?"
        for run in found:
            (uuid,) = db.execute(ours, [run.id]).fetchone()
            count = "SELECT COUNT(*) FROM metrics WHERE run_uuid=? AND key='train/loss'"
            assert db.execute(count, [uuid]).fetchone()[0] == 40
    until(lambda: start.driver(pool.journal, row.id) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_driver_and_a_worker_that_are_killed_lose_nothing(pool: Pool, project: Path) -> None:
    words = ["tracking=none", "recipe.pause=0.05", "budget.steps=300", "evaluate.every=50"]
    with subprocess.Popen(sweep(*words), stdout=subprocess.DEVNULL) as process:
        until(lambda: pool.journal.runs(RUNNING))
        row = newest(pool.journal)
        until(lambda: len(trials(pool.journal, row.id)) == 6)
        until(lambda: _saved(pool.journal, row.id))  # not of all: one bundle may end before another
        process.kill()
    driver = start.driver(pool.journal, row.id)
    assert driver
    os.kill(driver, signal.SIGKILL)
    os.kill(_worker(pool.journal, _saved(pool.journal, row.id)[0].id), signal.SIGKILL)
    runs = [run.id for run in trials(pool.journal, row.id)]
    resumed = [sys.executable, "-m", "turnaround", "sweep", "--resume", row.id]
    done = subprocess.run(resumed, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    for run in trials(pool.journal, row.id):
        assert run.status is Status.SUCCEEDED
        events = [*pool.journal.events(run.id)]
        assert len([event for event in events if event.kind == "summary"]) == 1
    assert sorted(run.id for run in trials(pool.journal, row.id)) == sorted(runs)
    until(lambda: start.driver(pool.journal, row.id) is None)


def _saved(journal: Journal, sweep: str) -> list[Run]:
    """The trials under way that have a checkpoint to go on from."""
    under_way = [run for run in trials(journal, sweep) if run.status is Status.RUNNING]
    return [r for r in under_way if [*(journal.folder(r.id) / "checkpoints").glob("step-*")]]


def _worker(journal: Journal, run: str) -> int:
    pid: int = next(e.data["pid"] for e in journal.events(run) if e.kind == "worker")
    assert psutil.pid_exists(pid)
    return pid
