"""A rank that dies, hangs or diverges, under each layout: who, after which step, and why."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests import projects
from tests.engine.spread import LAYOUTS, layout, plan_for
from tests.engine.trials import PROJECT
from tests.projects import over, until
from turnaround.journal import Run
from turnaround.launch.base import frozen
from turnaround.launch.pool import Pool
from turnaround.spec import Budget, Evaluate, Inventory, Optim, Plan, Status

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(300)]
BAR = 60.0  # seconds from the fault to the end of the run
HANGING = projects.STEADY.replace(
    "        time.sleep(self.config.pause)",
    """        import torch.distributed as dist

        self.calls = getattr(self, "calls", 0) + 1
        while dist.get_rank() == 1 and self.calls > 30:
            time.sleep(0.1)
        time.sleep(self.config.pause)""",
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One with room for all at once."""
    pool = Pool(tmp_path_factory.mktemp("faults") / "home")
    pool.ensure(print, Inventory(cpus=16, gpus=0))
    yield pool
    pool.down(print)


def plan(pool: Pool, name: str, **changes: object) -> Plan:
    """Steps without an end, on two devices, and no second try."""
    made = plan_for(name, budget=Budget(steps=100_000), evaluate=Evaluate(every=50_000))
    cluster = replace(made.cluster, name="pool", device="cpu", threads=1, retries=0)
    made = replace(made, layout=layout(name), cluster=cluster, **changes)  # type: ignore[arg-type]  # fields of a plan
    return frozen(made, PROJECT / made.place.recipe_file, pool.places.home)


def started(pool: Pool, made: Plan, steps: int = 5) -> str:
    run = pool.submit(made, again=True)[0].id
    until(pool, run, lambda row: row.status.over or step(pool, run) >= steps)
    return run


def step(pool: Pool, run: str) -> int:
    events = pool.journal.events(run)
    return max((e.data["step"] for e in events if e.kind in ("metrics", "progress")), default=0)


def pids(pool: Pool, run: str) -> dict[int, int]:
    events = pool.journal.events(run)
    return {event.rank: event.data["pid"] for event in events if event.kind == "worker"}


def ended(pool: Pool, run: str, code: int) -> Run:
    """The run has failed in time, and left no process."""
    row = over(pool, run, BAR)
    assert (row.status, row.exit_code) == (Status.FAILED, code), row.reason
    _, left = psutil.wait_procs(
        [psutil.Process(pid) for pid in pids(pool, run).values() if psutil.pid_exists(pid)], 5
    )
    assert not left
    return row


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_rank_that_dies_is_named_with_the_step(pool: Pool, name: str) -> None:
    run = started(pool, plan(pool, name))
    os.kill(pids(pool, run)[1], signal.SIGKILL)
    reason = ended(pool, run, 3).reason
    assert reason.startswith("rank 1 died (SIGKILL) after step "), reason


@pytest.mark.parametrize("name", LAYOUTS)
def test_numbers_that_diverge_are_named_with_rank_and_step(pool: Pool, name: str) -> None:
    wild = Optim(name="sgd", lr=1e30)
    deep = plan(pool, "pipeline", optim=wild)  # of a model that has something to overflow
    run = pool.submit(replace(deep, layout=layout(name)), again=True)[0].id
    reason = ended(pool, run, 4).reason
    assert reason.startswith("rank "), reason
    assert ": at step " in reason
    assert "not finite" in reason


def test_ranks_that_hang_are_found_under_every_layout(pool: Pool) -> None:
    runs = {name: started(pool, plan(pool, name)) for name in LAYOUTS}
    for run in runs.values():
        os.kill(pids(pool, run)[1], signal.SIGSTOP)
    began = time.monotonic()
    for name, run in runs.items():
        reason = ended(pool, run, 124).reason
        assert reason.startswith("rank 1 hangs: nothing was heard for "), (name, reason)
        assert "its process is stopped" in reason
        assert (pool.journal.folder(run) / "stacks.txt").exists()
    assert time.monotonic() - began < BAR


def test_a_rank_that_hangs_in_a_users_line_is_found_there(pool: Pool, tmp_path: Path) -> None:
    project = projects.make_project(tmp_path / "project", HANGING)
    words = ("layout=ddp", "layout.replicate=2", "cluster.retries=0", "budget.steps=1000")
    made = projects.planned(project, pool.places.home, *words, "evaluate.every=500")
    run = pool.submit(made, again=True)[0].id
    reason = ended(pool, run, 124).reason
    assert reason.startswith("rank 1 hangs: nothing was heard for "), reason
    assert re.search(r"after step \d+, and it is at steady.py:\d+ \(inputs\)", reason)
