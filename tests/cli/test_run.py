"""`turnaround run` whole: words in, a pool's run out; Ctrl-C with and without a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.projects import TWO, WORDS
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.spec import Status

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]
SLOW = ("recipe.pause=0.05", "budget.steps=2000", "checkpoint.every=5")
PATIENCE = 100.0


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of the test run."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return projects.make_project(tmp_path / "project")


@pytest.fixture
def turnaround(pool: Pool, project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`turnaround WORDS` in the project, to its end."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(words), cwd=project, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.fixture
def start(pool: Pool, project: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`turnaround WORDS` in the project, under way."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command(words), cwd=project, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def command(words: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "turnaround", *words]


def run_words(*words: str) -> list[str]:
    return ["run", *WORDS, *words]


def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def newest(journal: Journal, name: str) -> Run:
    return journal.runs("name=?", [name], limit=1)[0]


def saves(journal: Journal, name: str) -> bool:
    """The run of that name has saved something to go on from."""
    found = journal.runs("name=?", [name], limit=1)
    return any(event.kind == "checkpoint" for run in found for event in journal.events(run.id))


def end(pool: Pool, run: str) -> Run:
    """The run, stopped if it still goes on."""
    if not pool.journal.run(run).status.over:
        pool.stop(run)
    until(lambda: pool.journal.run(run).status.over)
    return pool.journal.run(run)


def test_a_run_that_would_have_to_wait_is_looked_at_before_it_is_queued(turnaround, pool) -> None:
    first = turnaround(*run_words(*SLOW, "seed=73", "--detach"))
    assert first.returncode == 0
    run = pool.journal.runs(limit=1)[0].id
    done = turnaround(*run_words("seed=74", "evaluate.score=acc", "--detach"))
    assert done.returncode == 2
    assert done.stderr == (
        "ConfigError: evaluate.score=acc is not among the scores\n  → choose one of (loss)\n"
    )
    assert pool.journal.runs(limit=1)[0].id == run
    end(pool, run)


def test_a_question_is_answered_and_then_remembered(turnaround, pool) -> None:
    first = turnaround(*run_words("seed=71"))
    assert (first.returncode, first.stderr) == (0, "")
    run = pool.journal.runs(limit=1)[0].id
    lines = first.stdout.splitlines()
    assert f"{run} RUNNING" in lines
    assert any(line.startswith("step 20/40  valid loss ") for line in lines)
    assert any(line.startswith(f"{run} SUCCEEDED after ") for line in lines)
    assert any(line.startswith("  files   ") for line in lines)
    assert not any("turnaround try" in line for line in lines)  # its recipe has no answers

    second = turnaround(*run_words("seed=71"))
    assert second.returncode == 0
    assert second.stdout.startswith(f"{run} answered this ")
    assert second.stdout.splitlines()[2].startswith(f"{run} SUCCEEDED after ")

    third = turnaround(*run_words("seed=71", "--again", "--json"))
    told = json.loads(third.stdout)
    assert (third.returncode, told["status"], told["exit_code"]) == (0, "SUCCEEDED", 0)
    assert told["id"] != run
    assert told["values"].keys() == {"valid/loss", "test/loss"}


def test_a_run_that_is_at_it_is_joined_left_stopped_and_resumed(turnaround, pool) -> None:
    words = run_words("seed=72", "--name", "joined", "--tag", "team=nlp", "--detach", *SLOW)
    first = turnaround(*words)
    run = newest(pool.journal, "joined")
    assert first.stdout.startswith(f"{run.id} ")  # QUEUED, or a step further already
    assert first.stdout.endswith(f": turnaround watch {run.id}\n")
    assert run.tags == {"team": "nlp"}
    until(lambda: saves(pool.journal, "joined"))
    again = turnaround(*words)
    assert again.stdout == (
        f"{run.id} is at it already (RUNNING); --again starts another\n"
        f"{run.id} RUNNING: turnaround watch {run.id}\n"
    )
    assert turnaround("stop", "joined").stdout == (
        f"{run.id} STOPPED: turnaround resume {run.id} continues it\n"
    )
    assert turnaround("resume", "joined", "--detach").stdout == (
        f"{run.id} goes on: turnaround watch {run.id}\n"
    )
    assert json.loads(turnaround("resume", "joined", "--detach", "--json").stdout)["id"] == run.id
    until(lambda: pool.journal.run(run.id).status is Status.RUNNING)
    assert end(pool, run.id).attempt == 2


def test_ctrl_c_without_a_terminal_saves_and_stops(start, pool) -> None:
    process = start(*run_words("seed=73", "--name", "cut", *SLOW))
    until(lambda: saves(pool.journal, "cut"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=100)
    run = newest(pool.journal, "cut")
    assert process.returncode == 130
    assert (run.status, run.reason) == (Status.STOPPED, "stopped with Ctrl-C")
    assert f"saving and stopping {run.id}; Ctrl-C again does not wait for it" in out
    assert f"  go on   turnaround resume {run.id}" in out


def test_stopped_by_somebody_else_is_75(start, pool) -> None:
    process = start(*run_words("seed=74", "--name", "taken", *SLOW))
    until(lambda: saves(pool.journal, "taken"))
    run = newest(pool.journal, "taken")
    pool.stop(run.id)
    process.communicate(timeout=100)
    assert process.returncode == 75


def test_a_run_does_not_die_with_its_command_line(start, turnaround, pool) -> None:
    process = start(*run_words("seed=75", "--name", "orphan", *SLOW))
    until(lambda: saves(pool.journal, "orphan"))
    process.kill()
    process.wait()
    run = newest(pool.journal, "orphan")
    steps = len(list(pool.journal.events(run.id)))
    until(lambda: len(list(pool.journal.events(run.id))) > steps + 2)
    assert f"{run.id}  orphan" in turnaround("ls", "--status", "running").stdout
    end(pool, run.id)


def test_a_failing_recipe_shows_its_own_traceback(turnaround, project) -> None:
    recipe = project / "recipes" / "steady.py"
    recipe.write_text(recipe.read_text().replace("output - batch[1]", "output - batch[7]"))
    done = turnaround(*run_words("seed=76"))
    assert done.returncode == 1
    assert "FAILED" in done.stderr
    assert "steady.py" in done.stderr
    assert "IndexError" in done.stderr


class Terminal:
    """A terminal of 80 columns with `turnaround` on it."""

    def __init__(self, words: list[str], project: Path) -> None:
        self.shown = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(project)
            os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
            os.execv(sys.executable, command(tuple(words)))

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def read(self, patience: float = 0.2) -> bool:
        """More of what is shown; False when the process is gone."""
        while select.select([self._fd], [], [], patience)[0]:
            try:
                self.shown += os.read(self._fd, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def shows(self, text: str) -> None:
        """Wait until it does."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown[-3000:]
            self.read(0.05)

    def exit_code(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.read() and time.monotonic() < deadline:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_on_a_terminal_ctrl_c_offers_to_detach(pool, project) -> None:
    terminal = Terminal(run_words("seed=77", "--name", "left", *SLOW), project)
    terminal.shows("examples/s")
    assert "RUNNING" in terminal.shown
    terminal.type("\x03")
    terminal.shows("[d]etach")
    terminal.type("d\n")
    run = newest(pool.journal, "left")
    assert terminal.exit_code() == 0
    assert f"{run.id} goes on: turnaround watch {run.id}" in terminal.shown
    assert pool.journal.run(run.id).status is Status.RUNNING
    end(pool, run.id)


def test_on_a_terminal_ctrl_c_offers_to_stop(pool, project) -> None:
    terminal = Terminal(run_words("seed=78", "--name", "halted", *SLOW), project)
    terminal.shows("examples/s")
    terminal.type("\x03")
    terminal.shows("[d]etach")
    terminal.type("s\n")
    assert terminal.exit_code() == 130
    assert newest(pool.journal, "halted").status is Status.STOPPED


def test_three_times_ctrl_c_is_enough_said(pool, project) -> None:
    terminal = Terminal(run_words("seed=79", "--name", "hurried", *SLOW), project)
    terminal.shows("examples/s")
    for answered in ("[d]etach", "saving and stopping"):  # two that arrive at once are one
        terminal.type("\x03")
        terminal.shows(answered)
    with contextlib.suppress(OSError):  # it may be over by now
        terminal.type("\x03")
    assert terminal.exit_code() == 130
    until(lambda: newest(pool.journal, "hurried").status is Status.STOPPED)
