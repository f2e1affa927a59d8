import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from turnaround.cli.running.steer import InlineSteer, PoolSteer, settle, steer
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.pool.places import Record, birth, write_record
from turnaround.spec import Status

RUN = "seq2seq-aaaaa"
DEAD = "1:12345.0"  # process 1 did not start then


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that can own a run."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def inline(submit, plan) -> Callable[[str], Run]:
    """A run that an owner carries out in its own process."""

    def make(owner: str) -> Run:
        asked = replace(plan, cluster=replace(plan.cluster, name="inline"))
        return submit(RUN, Status.RUNNING, asked, owner=owner)

    return make


def test_an_inline_run_whose_process_was_killed_is_stopped(journal: Journal, inline) -> None:
    settled = settle(journal, inline(DEAD))
    assert (settled.status, settled.reason) == (Status.STOPPED, "its process was killed")
    assert settled.exit_code == 75


def test_an_inline_run_whose_process_lives_is_left_alone(journal, inline, sleeper) -> None:
    owner = f"{sleeper.pid}:{birth(sleeper.pid)}"
    assert settle(journal, inline(owner)).status is Status.RUNNING


def test_an_inline_run_that_ends_while_it_is_looked_at_keeps_its_end(journal, inline) -> None:
    seen = inline(DEAD)
    journal.mark(RUN, Status.SUCCEEDED, attempt=1, exit_code=0)
    ended = journal.run(RUN)
    assert settle(journal, seen) == ended == journal.run(RUN)
    assert ended.status is Status.SUCCEEDED


def test_an_inline_run_that_somebody_resumes_while_it_is_looked_at_goes_on(
    journal, inline, sleeper
) -> None:
    seen = inline(DEAD)
    owner = f"{sleeper.pid}:{birth(sleeper.pid)}"
    journal.update(RUN, owner=owner)
    journal.mark(RUN, Status.RUNNING, attempt=2)
    assert settle(journal, seen).status is Status.RUNNING


def test_stopping_an_inline_run_tells_its_owner(journal, inline, sleeper) -> None:
    run = inline(f"{sleeper.pid}:{birth(sleeper.pid)}")
    assert isinstance(steer(journal, run), InlineSteer)
    steer(journal, run).stop(run)
    assert sleeper.wait(60) == -15


def test_stopping_a_run_of_a_dead_owner_is_refused(journal, inline) -> None:
    run = inline(DEAD)
    with pytest.raises(JournalError, match="carried out by nobody"):
        steer(journal, run).stop(run)


def test_a_run_of_the_pool_is_never_settled_from_here(journal, submit) -> None:
    assert settle(journal, submit(RUN, Status.RUNNING)).status is Status.RUNNING


def test_stopping_without_a_pool_writes_it_down(journal, submit) -> None:
    run = submit(RUN)
    steer(journal, run).stop(run, "stopped with turnaround stop")
    assert journal.run(RUN).status is Status.STOPPED
    assert journal.run(RUN).exit_code == 75


def test_a_pool_that_was_taken_down_is_left_down(journal, submit) -> None:
    said: list[str] = []
    assert not PoolSteer(Pool(journal.root)).tend(submit(RUN), said.append)
    assert said == [f"the pool is down and {RUN} waits for it: turnaround up"]


def test_a_pool_that_was_killed_is_started_again(journal, submit, sleeper, monkeypatch) -> None:
    started: list[bool] = []
    monkeypatch.setattr(PoolSteer, "start", lambda self, say: started.append(True))
    pool = Pool(journal.root)
    write_record(pool.places, Record(sleeper.pid, 0.0, 1, "0", sys.executable, 1, 0, 60.0, 0.0))
    sleeper.kill()
    sleeper.wait()
    said: list[str] = []
    assert PoolSteer(pool).tend(submit(RUN), said.append)
    assert started == [True]
    assert said == [
        "the pool was killed: starting another, where the run goes on from its last checkpoint"
    ]
