import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.workshop import Workshop, make_store
from turnaround.journal import Journal
from turnaround.spec import Tracking
from turnaround.tracking import start, ui
from turnaround.tracking.start import ENVIRON

Ask = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the current folder."""
    (tmp_path / "project" / "conf").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_without_a_store_it_says_what_makes_one(ask: Ask, project: Path) -> None:
    said = ask("ui")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"JournalError: nothing to show: {project}/mlflow.db does not exist\n"
        "  → turnaround run recipe=seq2seq makes a first run\n"
    )


def test_runs_that_go_to_a_server_are_seen_there(ask: Ask, project: Path, journal: Journal) -> None:
    plan = Workshop(project / "below").plan(tracking=Tracking(uri="https://mlflow.example.org"))
    journal.submit(plan, "seq2seq-22222")
    journal.update("seq2seq-22222", project=str(project))
    said = ask("ui")
    assert (said.code, said.err) == (0, "")
    assert said.out == "the runs of this project go to a server: https://mlflow.example.org\n"


def test_a_first_run_that_is_not_written_yet_has_a_recorder_and_says_so(
    ask: Ask, project: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[object, ...]] = []
    monkeypatch.setattr(start, "ensure", lambda *asked: started.append(asked))
    uri = f"sqlite:///{project}/mlflow.db"
    plan = Workshop(project / "below").plan(tracking=Tracking(uri=uri))
    journal.submit(plan, "seq2seq-22222")
    journal.update("seq2seq-22222", project=str(project))
    said = ask("ui")
    assert said.code == 2
    assert "mlflow.db is not there yet: its first run is being written" in said.err
    assert started == [(journal.root, uri, sys.executable)]


def test_a_port_that_is_taken_is_not_chosen() -> None:
    with socket.socket() as usual:
        usual.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        usual.bind((ui.HOST, 0))
        usual.listen()
        taken = usual.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ui, "USUAL", taken)
            assert ui.free_port() != taken


def test_a_server_that_ends_by_itself_is_an_error_with_its_words(
    ask: Ask, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "mlflow.db").write_text("no database, but long enough to be taken for one")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    said = ask("ui")
    assert said.code == 3
    assert "LaunchError: MLflow's server ended by itself" in said.err
    assert "ui.log has the rest" in said.err


@pytest.mark.slow
def test_the_pages_are_served_until_ctrl_c_and_nothing_is_left(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    (workshop.project / "conf").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        make_store(workshop.database)
        from turnaround.tracking.rounds import Rounds

        workshop.submit("seq2seq-22222")
        workshop.end("seq2seq-22222")
        rounds = Rounds(workshop.home, workshop.uri)
        while rounds.go():
            pass
    with subprocess.Popen(
        [sys.executable, "-m", "turnaround", "ui"],
        cwd=workshop.project,
        env={**os.environ, "TURNAROUND_HOME": str(workshop.home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        link = child.stdout.readline().split()[0]
        family = psutil.Process(child.pid).children(recursive=True)
        page = child.stdout.readline().split()[0]
        place = json.loads((workshop.journal.folder("seq2seq-22222") / "tracking.json").read_text())
        url, _, where = page.partition("/#/")
        assert link.startswith(f"{url}/#/experiments/{place['experiment_id']}/runs?")
        assert where.startswith(f"experiments/{place['experiment_id']}/runs/{place['run_id']}?")
        asked = f"{url}/get-artifact?path=log.txt&run_uuid={place['run_id']}"
        assert urllib.request.urlopen(asked, timeout=100).read() == b"epoch 1\nepoch 2\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == "Ctrl-C closes the pages\nthe pages are closed\n"
        assert child.wait(100) == 0
    assert len(family) == 2
    assert not [process for process in family if process.is_running()]
