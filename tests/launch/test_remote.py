"""A run on another cluster: a second Ray head on this machine, with its dashboard and its token."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.pool.clusters import Cluster, cluster
from turnaround.errors import LaunchError, PlanError
from turnaround.journal import Journal
from turnaround.launch.remote import Remote
from turnaround.spec import Cluster as Asked
from turnaround.spec import Plan, Status

PYTHON = os.environ.get("TURNAROUND_CLUSTER_PYTHON", sys.executable)
HAS = sys.executable != PYTHON or importlib.util.find_spec("aiohttp_cors")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not HAS, reason="$TURNAROUND_CLUSTER_PYTHON: one that has ray[default]"),
]
SLOW = ("recipe.pause=0.1", "budget.steps=150", "evaluate.every=10")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("there"), PYTHON) as made:
        yield made


@pytest.fixture
def journal(tmp_path: Path, there: Cluster, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """This machine's; the cluster's is another one."""
    monkeypatch.setenv("TURNAROUND_HOME", str(tmp_path / "mine"))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(there.token))
    projects.make_project(tmp_path / "project")
    return Journal(tmp_path / "mine")


class Here:
    """A command line on this machine."""

    def __init__(self, folder: Path, there: Cluster) -> None:
        self.folder = folder
        self.words = [*projects.WORDS, "cluster=remote", f"cluster.address={there.address}"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "turnaround", *words],
            cwd=self.folder / "project",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str) -> subprocess.Popen[str]:
        return self.start("run", *self.words, *words)


@pytest.fixture
def here(tmp_path: Path, there: Cluster, journal: Journal) -> Here:
    return Here(tmp_path, there)


def saved(journal: Journal) -> object:
    """The newest run has a checkpoint, as far as is known here."""
    for run in journal.runs():
        return any(e.kind == "checkpoint" and not e.data["best"] for e in journal.events(run.id))
    return False


def await_(ready: Any, patience: float = 200.0) -> None:
    deadline = time.monotonic() + patience
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def said_once(journal: Journal, run: str) -> None:
    """Every event of every rank and attempt is there, and once."""
    seen: dict[tuple[int, int], list[int]] = {}
    for event in journal.events(run):
        if event.seq:
            seen.setdefault((event.attempt, event.rank), []).append(event.seq)
    assert seen
    for numbers in seen.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_trains_there_and_its_answer_and_parameters_are_here(
    here: Here, journal: Journal, there: Cluster
) -> None:
    process = here.run("layout=ddp", "layout.replicate=2")
    out, _ = process.communicate(timeout=250)
    assert process.returncode == 0, out
    (run,) = journal.runs()
    assert (run.status, run.exit_code, run.summary["steps"]) == (Status.SUCCEEDED, 0, 40)
    said_once(journal, run.id)
    assert (journal.folder(run.id) / "checkpoints" / "best-00000040" / "manifest.json").exists()
    assert Journal(there.home).run(run.id).status is Status.SUCCEEDED


def test_a_command_line_that_is_killed_misses_nothing_once_it_is_back(
    here: Here, journal: Journal
) -> None:
    first = here.run(*SLOW)
    await_(lambda: saved(journal))
    first.kill()
    first.communicate()
    (run,) = journal.runs()
    again = here.start("watch", run.id)
    out, _ = again.communicate(timeout=250)
    assert again.returncode == 0, out
    assert journal.run(run.id).summary["steps"] == 150
    said_once(journal, run.id)


def test_ctrl_c_saves_and_a_resumed_run_goes_on_from_there(here: Here, journal: Journal) -> None:
    process = here.run(*SLOW, "seed=2")
    await_(lambda: saved(journal))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=250)
    assert process.returncode == 130, out
    (run,) = journal.runs()
    assert (run.status, run.exit_code) == (Status.STOPPED, 75)
    again = here.start("resume", run.id)
    out, _ = again.communicate(timeout=250)
    assert again.returncode == 0, out
    done = journal.run(run.id)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)
    said_once(journal, run.id)


def test_a_detached_run_can_be_stopped(here: Here, journal: Journal) -> None:
    out, _ = here.run(*SLOW, "seed=3", "--detach").communicate(timeout=250)
    (run,) = journal.runs()
    assert f"turnaround watch {run.id}" in out
    out, _ = here.start("stop", run.id).communicate(timeout=250)
    assert f"{run.id} STOPPED" in out, out
    assert journal.run(run.id).exit_code == 75


def plan_for(journal: Journal, there: Cluster, *words: str) -> Plan:
    asked = ["cluster=remote", f"cluster.address={there.address}", *words]
    return projects.planned(journal.root.parent / "project", journal.root, *asked)


def test_the_same_run_submitted_again_starts_nothing(journal: Journal, there: Cluster) -> None:
    remote = Remote(there.address, journal)
    run = remote.submit(plan_for(journal, there))
    assert {remote.ensure(run) for _ in range(3)} == {run.id}
    remote._drive(run, 0, "submit")  # the same name: Ray refuses it
    remote._drive(run, 1, "submit")  # another driver: the scheduler knows the run
    remote.follow(run, print)
    row = Journal(there.home).run(run.id)
    assert (row.status, row.attempt) == (Status.SUCCEEDED, 1)


def test_without_the_token_nobody_gets_in(
    journal: Journal, there: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "nothing"))
    with pytest.raises(LaunchError, match="does not let us in") as refused:
        Remote(there.address, journal).inventory(Asked())
    assert "RAY_AUTH_TOKEN_PATH" in refused.value.hint


def test_what_the_cluster_offers_is_what_a_plan_may_use(journal: Journal, there: Cluster) -> None:
    assert Remote(there.address, journal).inventory(Asked()).cpus == 2
    with pytest.raises(PlanError, match=r"cluster.kind=H100: no machine of the cluster has that"):
        Remote(there.address, journal).inventory(Asked(kind="H100"))


def test_no_token_of_ours_is_written_down_there(journal: Journal, there: Cluster) -> None:
    remote = Remote(there.address, journal)
    told = json.dumps(remote.dashboard.get("/api/jobs/"))
    assert there.token.read_text() not in told
