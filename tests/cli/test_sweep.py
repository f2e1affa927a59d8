"""`turnaround sweep`: refusals in this process, and whole sweeps on a real pool."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.projects import TWO, make_project
from tests.sweeps import Night, asked
from turnaround.cli.running import onward
from turnaround.cli.running.attach import Manner
from turnaround.cli.running.steer import PoolSteer
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.spec import Status
from turnaround.sweep import start
from turnaround.sweep.question import USUAL, Window, read, save

WORDS = ["recipe=steady", "data.batch=16", "budget.steps=40", "evaluate.every=20"]
WORDS += ["cluster.device=cpu", "cluster.threads=1"]
LR = "optim.lr=tag(log,interval(0.01,1))"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path / "project")
    monkeypatch.chdir(made)
    return made


# ── refusals ──


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optim.lr=0.1"], "nothing to try"),
        ([LR], "sweep=grid tries every value"),
        (["optim.lr=0.1,x"], "optim.lr=x does not fit"),
        ([LR, "sweep=tpe", "--for", "0s"], "--for 0s is no length of time"),
        ([LR, "sweep=tpe", "--for", "3s"], "over as soon as it begins"),
        ([LR, "sweep=tpe", "--by", "2020-01-01"], "is over already"),
        ([LR, "sweep=tpe", "--budget", "0dev-hours"], "buys nothing"),
        (["optim.lr=0.1,1", "--for", "8h"], "sweep=grid tries everything"),
        ([LR, "sweep=tpe", "--at", "2020-01-01"], "--at 2020-01-01 is over already"),
        ([LR, "sweep=tpe", "--at", "tonight"], "--at tonight is no time of day"),
        ([LR, "sweep=asha", "budget.steps=null", "budget.time=9s"], "a budget of time alone"),
        ([LR, "sweep=pbt", "evaluate.every=40"], "too few for generations"),
        (
            ["update.accumulate=1,2", "sweep=pbt"],
            "accumulate cannot change while a model is trained",
        ),
        (["optim.lr=0.1,1", "--add", "3"], "belong to --resume"),
        (["--resume", "sweep-x"], "not in the journal"),
    ],
)
def test_what_cannot_be_is_refused_with_exit_code_2(ask, project, words, said) -> None:
    words = words if "--resume" in words else [*WORDS, *words]
    told = ask("sweep", *words)
    assert told.code == 2
    assert said in told.err
    assert "→" in told.err
    assert "Traceback" not in told.err


def test_a_run_is_no_sweep(ask, project, submit) -> None:
    submit("seq2seq-aaaaa", Status.STOPPED)
    told = ask("sweep", "--resume", "seq2seq-aaaaa")
    assert (told.code, "is a run and no sweep" in told.err) == (2, True)


@pytest.fixture
def night(project: Path, journal: Journal) -> Night:
    """A sweep of three that has ended."""
    night = Night.of(asked(project, journal.root, "optim.lr=0.001,0.01,0.1"), journal.root)
    night.drive()
    return night


def test_going_on_with_code_that_changed_names_the_file_and_asks_whose(
    ask, night: Night, project: Path
) -> None:
    recipe = project / "recipes" / "steady.py"
    recipe.write_text(recipe.read_text() + "\n# changed\n")
    told = ask("sweep", "--resume", night.sweep)
    assert told.code == 2
    assert "recipes/steady.py changed since the sweep began" in told.err
    assert "--code old" in told.err
    assert "has finished" in ask("sweep", "--resume", night.sweep, "--code", "old").out


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [("\n", 0, "has finished"), ("mine\n", 2, "mine is neither old nor new"), ("", 130, "[old]: ")],
)
def test_whose_code_is_asked_for_beside_the_json(
    ask, night: Night, monkeypatch: pytest.MonkeyPatch, typed, code, said
) -> None:
    recipe = Path("recipes/steady.py")
    recipe.write_text(recipe.read_text() + "\n# changed\n")
    person = io.StringIO(typed)
    monkeypatch.setattr(person, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", person)
    told = ask("sweep", "--resume", night.sweep, "--json")
    assert (told.code, said in told.err) == (code, True)
    assert "Go on with the [old] code or the [new]?" in told.err
    assert (told.out[:1] == "{") == (code == 0)


def test_one_that_is_left_to_itself_is_one_line_of_json(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "ensure", lambda *_: None)
    journal = Journal(night.home)
    run = journal.run(night.sweep)
    assert onward.attend(journal, run, Manner(as_json=True), detach=True) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["id"] == night.sweep
    assert told.err == f"{night.sweep} goes on: turnaround watch {night.sweep}\n"


def test_a_sweep_that_has_finished_says_what_could_be_added(ask, night: Night) -> None:
    assert "--add N tries more" in ask("sweep", "--resume", night.sweep).out
    told = ask("sweep", "--resume", night.sweep, "--add", "2")
    assert (told.code, "all 3 settings were tried" in told.err) == (2, True)
    told = ask("sweep", "--resume", night.sweep, "--failed")
    assert (told.code, "no trial of" in told.err) == (2, True)


# ── going on ──


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on is written down, and nobody carries it out."""
    monkeypatch.setattr(onward, "attend", lambda *_: 0)
    monkeypatch.setattr(PoolSteer, "start", lambda *_: None)


def windowed(project: Path, home: Path, window: Window) -> Night:
    return Night.of(asked(project, home, LR, name="random", window=window), home)


@pytest.mark.parametrize("length", [8.0, 16.0])
def test_trials_are_added_to_those_that_a_window_let_through(
    ask, project: Path, journal: Journal, idle: None, length: float
) -> None:
    night = windowed(project, journal.root, Window(end=time.time() + length))
    before = len(night.drive().state.trials)
    assert (before < USUAL) == (length < 10)
    for added in (0, 2, 5):
        more = ["--add", str(added)] if added else []
        assert ask("sweep", "--resume", night.sweep, *more).code == 0
        before += added
        state = night.drive().state
        assert len(state.trials) == len(state.whole(0)) == before
    assert f"{before} of {before} trials trained" in ask("report", night.sweep).out


def test_trials_are_added_to_those_that_a_stop_left_in_the_window(
    ask, project: Path, journal: Journal, idle: None
) -> None:
    night = windowed(project, journal.root, Window(end=time.time() + 3600))
    count = len(night.drive(lambda driver: driver.state.told >= 4).state.trials)
    journal.mark(night.sweep, Status.STOPPED, attempt=1, exit_code=75)
    assert ask("sweep", "--resume", night.sweep, "--add", "2").code == 0
    assert len(night.drive().state.trials) == count + 2


def test_what_is_left_of_its_bounds_holds_for_a_sweep_that_was_stopped(
    ask, project: Path, journal: Journal, idle: None
) -> None:
    bounds = Window(end=time.time() + 3600, device_seconds=50.0, begin=time.time() - 1)
    night = windowed(project, journal.root, bounds)

    def resumed(*words: str) -> Window:
        journal.mark(night.sweep, Status.STOPPED, attempt=1, exit_code=75)
        assert ask("sweep", "--resume", night.sweep, *words).code == 0
        return read(journal.folder(night.sweep)).window

    assert resumed() == replace(bounds, begin=None)
    assert resumed("--budget", "70dev-s") == Window(bounds.end, 70.0)
    save(
        replace(read(journal.folder(night.sweep)), window=Window(time.time() - 1, 50.0)),
        journal.folder(night.sweep),
    )
    assert resumed() == Window(None, 50.0)
    journal.mark(night.sweep, Status.SUCCEEDED, attempt=1, exit_code=0)
    assert ask("sweep", "--resume", night.sweep, "--add", "2").code == 0
    assert read(journal.folder(night.sweep)).window == Window()


def test_to_a_population_nobody_is_added(ask, project: Path, journal: Journal) -> None:
    question = asked(project, journal.root, LR, name="pbt", trials=4, rungs=3)
    night = Night.of(question, journal.root)
    night.drive()
    told = ask("sweep", "--resume", night.sweep, "--add", "2")
    assert told.code == 2
    assert f"--add 2, but {night.sweep} is a population" in told.err
    assert "sweep.trials=N" in told.err
    assert night.driver().state.more == 0


# ── on a pool ──


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of this test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


def turnaround(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "turnaround", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


def newest(journal: Journal) -> Run:
    return journal.runs('tags LIKE \'%"kind": "sweep"%\'', limit=1)[0]


def trials(journal: Journal, sweep: str) -> list[Run]:
    return journal.runs("tags LIKE ?", [f'%"sweep": "{sweep}"%'])


def until(ready: object, patience: float = 150.0) -> None:
    deadline = time.monotonic() + patience
    while not ready():  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.ray
def test_what_every_trial_would_fail_by_is_said_before_the_first(pool: Pool, project: Path) -> None:
    done = turnaround("sweep", *WORDS, "optim.lr=0.031,0.032", "evaluate.score=acc")
    assert done.returncode == 2
    assert "evaluate.score=acc is not among the scores\n  → choose one of (loss)" in done.stderr
    assert not pool.journal.runs("name LIKE 'lr=0.03_'")


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_sweep_runs_on_the_pool_and_its_trials_hang_below_it_in_mlflow(
    pool: Pool, project: Path, blank: Path
) -> None:
    shutil.copy(blank, project / "mlflow.db")
    done = turnaround("sweep", *WORDS, "optim.lr=0.01,0.1", "--name", "rates", "--tag", "team=a")
    assert done.returncode == 0, done.stderr
    assert "winner      trial 1: lr=0.1" in done.stdout
    row = newest(pool.journal)
    assert (row.status, row.name, row.tags["team"]) == (Status.SUCCEEDED, "rates", "a")
    found = trials(pool.journal, row.id)
    assert sorted(run.name or "" for run in found) == ["lr=0.01", "lr=0.1"]
    until(lambda: all(pool.journal.run(run.id).recorded for run in [row, *found]))
    with closing(sqlite3.connect(project / "mlflow.db")) as db:
        tags = "SELECT value FROM tags WHERE key=? GROUP BY value"
        parents = [value for (value,) in db.execute(tags, ["mlflow.parentRunId"])]
        ours = "SELECT run_uuid FROM tags WHERE key='turnaround.run' AND value=?"
        assert parents == [db.execute(ours, [row.id]).fetchone()[0]]
    again = turnaround("sweep", *WORDS, "optim.lr=0.01,0.1")
    assert "2 runs were known" in again.stdout
    until(lambda: start.driver(pool.journal, newest(pool.journal).id) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sweep_whose_driver_and_command_line_are_killed_goes_on_exactly(
    pool: Pool, project: Path
) -> None:
    words = [*WORDS, "tracking=none", LR, "sweep=asha", "sweep.trials=12", "budget.steps=90"]
    words += ["recipe.pause=0.02", "seed=12"]  # seeds: nothing that another test has answered
    command = [sys.executable, "-m", "turnaround", "sweep", *words, "evaluate.every=10"]
    before = {run.id for run in pool.journal.runs()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        until(lambda: len({run.id for run in pool.journal.runs()} - before) >= 5)
        sweep = newest(pool.journal).id
        process.kill()
    driver = start.driver(pool.journal, sweep)
    assert driver
    os.kill(driver, signal.SIGKILL)
    done = turnaround("sweep", "--resume", sweep)
    assert done.returncode == 0, done.stderr
    assert "of 12 trials trained" in done.stdout
    found = trials(pool.journal, sweep)
    assert len(found) == len({run.tags["trial"] for run in found}) == 12
    assert all(run.status in (Status.SUCCEEDED, Status.STOPPED) for run in found)
    until(lambda: start.driver(pool.journal, sweep) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_promoted_run_equals_one_that_never_paused(pool: Pool, project: Path) -> None:
    words = [*WORDS, "tracking=none", "budget.steps=90", "evaluate.every=10", "seed=13"]
    done = turnaround("sweep", *words, LR, "sweep=asha", "sweep.trials=4", "--json")
    assert done.returncode == 0, done.stderr
    sweep = newest(pool.journal)
    whole = next(r for r in trials(pool.journal, sweep.id) if r.status is Status.SUCCEEDED)
    assert whole.attempt == 3
    lr = pool.journal.plan(whole.id).optim.lr
    alone = turnaround("run", *words, f"optim.lr={lr!r}", "--again", "--json")
    assert alone.returncode == 0, alone.stderr
    other = pool.journal.runs("recipe='steady'", limit=1)[0]
    assert other.id != whole.id
    assert other.summary["values"] == whole.summary["values"]
    until(lambda: start.driver(pool.journal, sweep.id) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_forks_of_a_shared_trunk_equal_runs_of_their_own(pool: Pool, project: Path) -> None:
    words = [*WORDS, "tracking=none", "budget.steps=50", "evaluate.every=10", "optim.lr=0.3"]
    words += ["optim.schedule=wsd", "optim.decay=linear,sqrt", "optim.floor=0.0,0.1"]
    done = turnaround("sweep", *words, "--json")
    assert done.returncode == 0, done.stderr
    sweep = newest(pool.journal).id
    found = {run.tags["trial"]: run for run in trials(pool.journal, sweep)}
    assert sorted(found) == ["0", "1", "2", "3", "trunk"]
    assert pool.journal.plan(found["2"].id).fork == f"{found['trunk'].id}@40"
    with_seed = [w for w in words if "," not in w]
    for number, decay, floor in (("1", "linear", 0.1), ("2", "sqrt", 0.0)):
        tail = [f"optim.decay={decay}", f"optim.floor={floor}"]
        known = turnaround("run", *with_seed, *tail, "--json")
        assert found[number].id in known.stdout
        alone = turnaround("run", *with_seed, *tail, "--again", "--json")
        assert alone.returncode == 0, alone.stderr
        other = pool.journal.runs("recipe='steady'", limit=1)[0]
        assert other.summary["values"] == found[number].summary["values"]
        kept = [digest(pool.journal, run.id, 50) for run in (other, found[number])]
        assert kept[0] == kept[1]
    until(lambda: start.driver(pool.journal, sweep) is None)


def digest(journal: Journal, run: str, step: int) -> object:
    """Of the parameters and moments after so many steps."""
    manifest = journal.folder(run) / "checkpoints" / f"step-{step:08d}" / "manifest.json"
    return json.loads(manifest.read_text())["files"]["tensors.safetensors"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["hyperband", "pbt"])
def test_brackets_and_populations_run_on_the_pool(pool: Pool, project: Path, way: str) -> None:
    words = [*WORDS, "tracking=none", "budget.steps=90", "evaluate.every=10", LR]
    pbt = ["sweep.trials=4", "sweep.rungs=3", "seed=11"]
    size = ["sweep.trials=9", "seed=14"] if way == "hyperband" else pbt
    done = turnaround("sweep", *words, f"sweep={way}", *size)
    assert done.returncode == 0, done.stderr
    sweep = newest(pool.journal)
    assert sweep.status is Status.SUCCEEDED
    found = trials(pool.journal, sweep.id)
    whole = [run for run in found if run.status is Status.SUCCEEDED]
    assert whole
    assert {run.summary["steps"] for run in whole} == {90}
    forks = [plan for run in found if (plan := pool.journal.plan(run.id)).fork]
    assert len(forks) == (2 if way == "pbt" else 0)
    for plan in forks:
        parent = pool.journal.plan((plan.fork or "").partition("@")[0])
        assert parent.optim.lr != plan.optim.lr
    until(lambda: start.driver(pool.journal, sweep.id) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_window_that_begins_later_survives_its_driver(pool: Pool, project: Path) -> None:
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 30))
    words = [*WORDS, "tracking=none", LR, "sweep=random", "sweep.trials=2", "--at", begin]
    done = turnaround("sweep", *words)
    assert done.returncode == 0, done.stderr
    assert "crontab" in done.stdout
    sweep = newest(pool.journal)
    assert (sweep.status, sweep.reason[:13]) == (Status.QUEUED, "it begins on ")
    driver = start.driver(pool.journal, sweep.id)
    assert driver
    os.kill(driver, signal.SIGKILL)
    until(lambda: start.driver(pool.journal, sweep.id) is None)
    assert f"{sweep.id} goes on" in turnaround("ls").stderr
    until(lambda: pool.journal.run(sweep.id).status.over, 120)
    assert pool.journal.run(sweep.id).status is Status.SUCCEEDED
    assert (pool.journal.run(sweep.id).started or 0) >= time.mktime(
        time.strptime(begin, "%Y-%m-%dT%H:%M:%S")
    )
    until(lambda: start.driver(pool.journal, sweep.id) is None)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_without_a_terminal_saves_and_stops_and_resume_goes_on(
    pool: Pool, project: Path
) -> None:
    words = [*WORDS, "tracking=none", "recipe.pause=0.04", "optim.lr=0.01,0.1", "budget.steps=200"]
    command = [sys.executable, "-m", "turnaround", "sweep", *words]
    before = {run.id for run in pool.journal.runs()}

    def training(runs: set[str]) -> list[str]:
        """Those that have told of a step."""
        return [r for r in runs if any(e.kind == "metrics" for e in pool.journal.events(r))]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: len(training({run.id for run in pool.journal.runs()} - before)) == 2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=150)
    assert process.returncode == 130, out
    sweep = newest(pool.journal)
    assert sweep.status is Status.STOPPED
    assert {run.status for run in trials(pool.journal, sweep.id)} == {Status.STOPPED}
    until(lambda: start.driver(pool.journal, sweep.id) is None)
    assert turnaround("sweep", "--resume", sweep.id).returncode == 0
    assert {run.status for run in trials(pool.journal, sweep.id)} == {Status.SUCCEEDED}
    until(lambda: start.driver(pool.journal, sweep.id) is None)
