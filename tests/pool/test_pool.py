"""The warm pool, real: a Ray head, forked workers, and what happens when parts of it are killed."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests import projects
from tests.projects import TWO, over, planned, until
from turnaround.launch.pool import Pool
from turnaround.pool.places import Record
from turnaround.spec import Plan, Status

pytestmark = [pytest.mark.ray, pytest.mark.timeout(180)]
SLOW = "recipe.pause=0.05"
HOLDING = (SLOW, "layout=ddp", "layout.replicate=2", "budget.steps=2000")  # until it is stopped
MEET = """

import sys
from pathlib import Path

print("prefix", sys.prefix)
Path("here").touch()
while not Path("{peer}", "here").exists():  # this run and the other project's are there at once
    time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """One pool for the whole test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return projects.make_project(tmp_path / "project")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Pool]:
    """A pool of the test's own, not up yet."""
    pool = Pool(tmp_path / "home")
    yield pool
    pool.down(print)


def submit(pool: Pool, plan: Plan) -> str:
    return pool.submit(plan, again=True)[0].id


def kinds(pool: Pool, run: str, kind: str) -> list[dict[str, object]]:
    return [event.data for event in pool.journal.events(run) if event.kind == kind]


def said(pool: Pool, run: str) -> str:
    return " | ".join(str(data["message"]) for data in kinds(pool, run, "notice"))


def part(pool: Pool, name: str) -> psutil.Process:
    """A process of the Ray head."""
    record = pool.record()
    assert record is not None
    for process in psutil.Process(record.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of those that come and go
            if process.name() == name:
                return process
    raise AssertionError(f"no {name}")


def worker(pool: Pool, run: str, rank: int = 0) -> psutil.Process:
    up = [event for event in pool.journal.events(run) if event.kind == "worker"]
    return psutil.Process([event.data["pid"] for event in up if event.rank == rank][-1])


def steps(pool: Pool, run: str, attempt: int) -> list[int]:
    """Steps whose training metrics or checkpoints an attempt reported."""
    found = [e for e in pool.journal.events(run) if e.kind in ("metrics", "checkpoint")]
    return [e.data["step"] for e in found if e.attempt == attempt]


def has_checkpoint(pool: Pool) -> object:
    """One to go on from; the best parameters are kept a moment before it."""
    return lambda row: bool(saves(pool, row.id))


def worker_id(pool: Pool, run: str) -> object:
    """The process that carried it out."""
    return kinds(pool, run, "worker")[-1]["pid"]


def losses(pool: Pool, run: str) -> list[object]:
    """What it told on the way."""
    return [data["values"] for data in kinds(pool, run, "metrics") if data["split"] == "valid"]


def step(pool: Pool, run: str) -> int:
    """The last that was told of."""
    return max((int(str(data["step"])) for data in kinds(pool, run, "progress")), default=0)


def saves(pool: Pool, run: str) -> list[int]:
    """The steps that a restart could go on from."""
    found = kinds(pool, run, "checkpoint")
    return [int(str(data["step"])) for data in found if not data["best"]]


# ── the everyday ──


def test_a_run_trains_and_its_answer_is_in_the_journal(
    pool: Pool, project: Path, home: Path
) -> None:
    run = over(pool, submit(pool, planned(project, home)))
    assert (run.status, run.exit_code) == (Status.SUCCEEDED, 0), run.reason
    assert run.summary["steps"] == 40


def test_a_gang_of_two_trains(pool: Pool, project: Path, home: Path) -> None:
    run = over(pool, submit(pool, planned(project, home, "layout=ddp", "layout.replicate=2")))
    assert run.status is Status.SUCCEEDED, run.reason
    assert {e.rank for e in pool.journal.events(run.id) if e.kind == "worker"} == {0, 1}


def test_an_edit_is_used_by_the_next_run_and_not_by_one_that_waits(
    pool: Pool, project: Path, home: Path
) -> None:
    file = project / "recipes" / "steady.py"
    both = submit(pool, planned(project, home, *HOLDING))
    waiting = submit(pool, planned(project, home))  # queued behind the gang that holds both cores
    file.write_text(projects.STEADY + '\n\nprint("edited")\n')
    edited = submit(pool, planned(project, home))
    pool.stop(both)
    for run in (waiting, edited):
        assert over(pool, run).status is Status.SUCCEEDED
    logs = [(pool.journal.folder(run) / "log.txt").read_text() for run in (waiting, edited)]
    assert ["edited" in log for log in logs] == [False, True]


def test_the_same_question_is_not_queued_twice(pool: Pool, project: Path, home: Path) -> None:
    plan = planned(project, home, "seed=77")
    first, known = pool.submit(plan)
    second, known_now = pool.submit(plan)
    assert (second.id, known, known_now) == (first.id, False, True)
    over(pool, first.id)


def test_a_recipe_that_raises_fails_without_another_attempt(
    pool: Pool, project: Path, home: Path
) -> None:
    broken = projects.STEADY.replace("time.sleep(self.config.pause)", "raise KeyError('mine')")
    (project / "recipes" / "steady.py").write_text(broken)
    run = over(pool, submit(pool, planned(project, home)))
    assert (run.status, run.exit_code, run.attempt) == (Status.FAILED, 1, 1)
    assert "mine" in run.reason


def test_a_stopped_run_is_saved_and_resumes_to_its_end(
    pool: Pool, project: Path, home: Path
) -> None:
    run = submit(pool, planned(project, home, "recipe.pause=0.02", "evaluate.every=5"))
    until(pool, run, has_checkpoint(pool))
    pool.stop(run)
    stopped = over(pool, run)
    assert (stopped.status, stopped.exit_code) == (Status.STOPPED, 75)
    pool.resume(run)
    done = over(pool, run)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)
    assert min(steps(pool, run, attempt=2)) > 5


def test_a_queued_run_can_be_stopped(pool: Pool, project: Path, home: Path) -> None:
    both = submit(pool, planned(project, home, *HOLDING))
    waiting = submit(pool, planned(project, home, "seed=5"))
    until(pool, waiting, lambda row: "waits for" in row.reason)
    assert pool.queue(5) == ({waiting: pool.journal.run(waiting).reason}, 1)
    pool.stop(waiting)
    assert pool.queue(5) == ({}, 0)
    assert over(pool, waiting).status is Status.STOPPED
    pool.stop(both)
    assert over(pool, both).status is Status.STOPPED


def test_higher_priority_goes_first(pool: Pool, project: Path, home: Path) -> None:
    both = submit(pool, planned(project, home, *HOLDING))
    two = ("layout=ddp", "layout.replicate=2")
    low = submit(pool, planned(project, home, *two, "seed=1"))
    high = submit(pool, planned(project, home, *two, "seed=2", "cluster.priority=3"))
    until(pool, both, lambda row: row.status is Status.RUNNING)
    pool.stop(both)
    ends = {run: over(pool, run).started for run in (both, low, high)}
    assert ends[both] < ends[high] < ends[low]  # type: ignore[operator]  # all have started


def test_without_isolation_a_worker_carries_out_one_run_after_another(
    pool: Pool, project: Path, home: Path
) -> None:
    words = ["cluster.isolate=false", "layout=single"]
    runs = [submit(pool, planned(project, home, *words, f"seed={n}")) for n in range(6)]
    apart = [submit(pool, planned(project, home, f"seed={n}")) for n in range(6)]
    for run in [*runs, *apart]:
        done = over(pool, run)
        assert (done.status, done.attempt) == (Status.SUCCEEDED, 1), done.reason
    assert len({worker_id(pool, run) for run in runs}) <= 2  # one for each core
    assert len({worker_id(pool, run) for run in apart}) == 6
    assert [losses(pool, run) for run in runs] == [losses(pool, run) for run in apart]


def test_a_worker_stays_when_its_run_pauses(pool: Pool, project: Path, home: Path) -> None:
    words = ["cluster.isolate=false", "layout=single"]
    legs = [replace(planned(project, home, *words, f"seed={n}"), until=2) for n in (41, 42)]
    ends = [over(pool, submit(pool, plan)) for plan in legs]
    assert [run.exit_code for run in ends] == [75, 75]
    assert worker_id(pool, ends[0].id) == worker_id(pool, ends[1].id)


def test_a_worker_that_stays_leaves_with_a_run_that_fails(
    pool: Pool, project: Path, home: Path
) -> None:
    whole = planned(project, home, "cluster.isolate=false", "seed=21")
    broken = projects.STEADY.replace("time.sleep(self.config.pause)", "1 / 0")
    (project / "recipes" / "steady.py").write_text(broken)
    fails = planned(project, home, "cluster.isolate=false", "seed=22")
    ends = [over(pool, submit(pool, plan)) for plan in (whole, fails, whole)]
    assert [run.exit_code for run in ends] == [0, 1, 0]
    assert "division by zero" in ends[1].reason
    log = (pool.journal.folder(ends[1].id) / "log.txt").read_text()
    assert log.count("ZeroDivisionError") <= 1


@pytest.mark.slow
def test_a_worker_that_stays_and_is_killed_costs_its_run_an_attempt(
    pool: Pool, project: Path, home: Path
) -> None:
    words = (SLOW, "cluster.isolate=false", "evaluate.every=10", "budget.steps=80")
    first = submit(pool, planned(project, home, *words, "seed=31"))
    until(pool, first, lambda row: step(pool, row.id) > 2)
    worker(pool, first).kill()
    done = over(pool, first)
    assert (done.status, done.attempt, done.failures) == (Status.SUCCEEDED, 2, 1)


@pytest.mark.slow
def test_batch_work_saves_and_makes_room_and_goes_on_afterwards(
    pool: Pool, project: Path, home: Path
) -> None:
    two = ("layout=ddp", "layout.replicate=2", "recipe.pause=0.5")
    batch = submit(pool, planned(project, home, *two, "evaluate.every=20", "cluster.priority=-10"))
    until(pool, batch, lambda row: step(pool, row.id) > 2)
    mine = over(pool, submit(pool, planned(project, home, "seed=3")))
    assert mine.status is Status.SUCCEEDED
    waits = until(pool, batch, lambda row: row.attempt == 2 or row.status is Status.QUEUED)
    assert waits.failures == 0
    done = over(pool, batch)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2), done.reason
    assert kinds(pool, batch, "yields") == [{"to": mine.id}]
    assert min(steps(pool, batch, attempt=2)) > 2


# ── faults ──


RANKS = pytest.param(("layout=ddp", "layout.replicate=2"), marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [(), RANKS])
def test_a_killed_worker_is_replaced_and_goes_on_from_the_last_checkpoint(
    pool: Pool, project: Path, home: Path, layout: tuple[str, ...]
) -> None:
    words = (SLOW, "evaluate.every=10", "budget.steps=80", *layout)
    run = submit(pool, planned(project, home, *words))
    until(pool, run, has_checkpoint(pool))
    saved = max(saves(pool, run))
    worker(pool, run, rank=len(layout) // 2).kill()
    done = over(pool, run)
    assert (done.status, done.attempt, done.failures) == (Status.SUCCEEDED, 2, 1), done.reason
    assert re.search(r"died \(SIGKILL\) after step \d+; restart 1/3 from", said(pool, run))
    assert min(steps(pool, run, attempt=2)) > saved
    undisturbed = over(pool, submit(pool, planned(project, home, *words)))
    assert done.summary["values"] == undisturbed.summary["values"]


@pytest.mark.slow
def test_a_run_goes_on_and_the_queue_is_kept_when_the_ray_head_is_killed(
    pool: Pool, project: Path, home: Path
) -> None:
    training = submit(pool, planned(project, home, SLOW, "budget.steps=200", "layout=ddp"))
    waiting = submit(pool, planned(project, home, "seed=6"))
    until(pool, training, lambda row: row.status is Status.RUNNING)
    part(pool, "gcs_server").kill()
    part(pool, "raylet").kill()
    done = [over(pool, run) for run in (training, waiting)]
    assert [(row.status, row.attempt) for row in done] == [(Status.SUCCEEDED, 1)] * 2
    assert "the Ray head died and is being restarted" in said(pool, training)
    assert "the Ray head died and is being restarted" in said(pool, waiting)


@pytest.mark.slow
def test_a_killed_scheduler_comes_back_with_its_queue(
    pool: Pool, project: Path, home: Path
) -> None:
    both = submit(pool, planned(project, home, "layout=ddp", "layout.replicate=2", SLOW))
    waiting = submit(pool, planned(project, home, "seed=7"))
    until(pool, both, lambda row: row.status is Status.RUNNING)
    part(pool, "ray::Scheduler").kill()
    for run in (both, waiting):
        row = over(pool, run)
        assert (row.status, row.attempt) == (Status.SUCCEEDED, 1)


# ── coming and going ──


@pytest.mark.slow  # each starts a pool of its own, at 6 s and more
def test_two_cold_starts_at_once_start_one_pool(own: Pool) -> None:
    words = (
        "import sys; from pathlib import Path; from turnaround.launch.pool import Pool;"
        "from turnaround.spec import Inventory; pool = Pool(Path(sys.argv[1]));"
        "pool.ensure(lambda text: None, Inventory(2, 0)); print(pool.record().pid)"
    )
    command = [sys.executable, "-c", words, str(own.places.home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    pids = {process.communicate(timeout=120)[0] for process in both}
    assert len(pids) == 1


@pytest.mark.slow
def test_a_pool_that_is_killed_whole_is_replaced_and_its_run_goes_on(
    own: Pool, project: Path
) -> None:
    own.ensure(print, TWO)
    words = (SLOW, "evaluate.every=10", "budget.steps=80")
    run = submit(own, planned(project, own.places.home, *words))
    until(own, run, has_checkpoint(own))
    first = own.record()
    assert first is not None
    psutil.Process(first.pid).kill()
    own.ensure(print, TWO)
    done = over(own, run)
    assert (done.status, done.attempt) == (Status.SUCCEEDED, 2)
    assert min(steps(own, run, attempt=2)) >= 10


@pytest.mark.slow
def test_down_leaves_no_process_and_keeps_running_runs(own: Pool, project: Path) -> None:
    own.ensure(print, TWO)
    record = own.record()
    assert record is not None
    ours = [psutil.Process(record.pid), *psutil.Process(record.pid).children(recursive=True)]
    words = (SLOW, "evaluate.every=5", "budget.steps=100")
    run = submit(own, planned(project, own.places.home, *words))
    until(own, run, has_checkpoint(own))
    assert own.down(print)
    _, left = psutil.wait_procs(ours, timeout=20)
    assert not left
    assert own.journal.run(run).status is Status.QUEUED
    assert own.down(print) is False
    own.ensure(print, TWO)
    assert over(own, run).status is Status.SUCCEEDED


@pytest.mark.slow
def test_an_idle_pool_ends_itself(own: Pool) -> None:
    own.ensure(print, TWO, keep_warm=1.0)
    record = own.record()
    assert record is not None
    assert _gone(record, patience=90)


@pytest.mark.slow
def test_two_projects_with_interpreters_and_stores_of_their_own_train_side_by_side(
    pool: Pool, home: Path, tmp_path: Path
) -> None:
    environment = make_environment(tmp_path / "venv")
    folders = {3.0: tmp_path / "one", 5.0: tmp_path / "other"}
    prefixes = {3.0: sys.prefix, 5.0: str(environment)}
    runs = {}
    for slope, folder in folders.items():
        (peer,) = {*folders.values()} - {folder}
        recipe = projects.STEADY.replace("= 3.0", f"= {slope}") + MEET.format(peer=peer)
        plan = planned(projects.make_project(folder, recipe), home, "tracking=mlflow")
        interpreter = f"{prefixes[slope]}/bin/python"
        runs[slope] = submit(pool, projects.of(plan, interpreter=interpreter))
    for slope, run in runs.items():
        assert over(pool, run).status is Status.SUCCEEDED
        assert f"prefix {prefixes[slope]}\n" in (pool.journal.folder(run) / "log.txt").read_text()
    for slope, run in runs.items():
        until(pool, run, lambda row: row.recorded)
        assert recorded(folders[slope]) == {run: f"recipe.slope {slope}"}


def make_environment(folder: Path) -> Path:
    """A virtual environment that finds what ours has, without installing it again."""
    venv.create(folder, system_site_packages=False, with_pip=False)
    site = next((folder / "lib").glob("python*/site-packages"))
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "ours.pth").write_text("\n".join([*ours, str(Path(__file__).parents[2])]))
    return folder


def recorded(project: Path) -> dict[str, str]:
    """What the project's store knows: each run of ours that has a loss, and its slope."""
    with closing(sqlite3.connect(project / "mlflow.db")) as db:
        found = db.execute(
            "SELECT t.value, p.key || ' ' || p.value FROM tags t JOIN params p USING (run_uuid)"
            " WHERE t.key = 'turnaround.run' AND p.key = 'recipe.slope' AND EXISTS"
            " (SELECT 1 FROM metrics m WHERE m.run_uuid = t.run_uuid AND m.key = 'train/loss')"
        )
        return dict(found.fetchall())


def _gone(record: Record, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while record.alive and time.monotonic() < deadline:
        time.sleep(0.1)
    return not record.alive
