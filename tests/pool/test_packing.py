"""Runs that share devices in a real pool, and part when they slow each other down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.projects import STEADY, TWO, make_project, over, planned, until
from turnaround.launch.pool import Pool
from turnaround.spec import Plan, Status

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(180)]
# A recipe whose steps take four times as long when another such run is there.
JEALOUS = (
    STEADY.replace(
        "        time.sleep(self.config.pause)\n",
        "        time.sleep(self.config.pause * (4 if self._beside() else 1))\n",
    )
    .replace(
        "    def model(self)",
        """    def _beside(self) -> bool:
        (self.cache / str(os.getpid())).touch()
        runs = [int(file.name) for file in self.cache.iterdir() if file.name.isdigit()]
        return sum(Path(f"/proc/{run}").exists() for run in runs) > 1

    def model(self)""",
    )
    .replace("import time\n", "import os\nimport time\nfrom pathlib import Path\n")
)
PAUSE = 0.03


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The one of the whole test run."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


def submit(pool: Pool, plan: Plan) -> str:
    return pool.submit(plan, again=True)[0].id


def workers(pool: Pool, run: str) -> list[int]:
    return [e.data["pid"] for e in pool.journal.events(run) if e.kind == "worker"]


def test_four_halves_of_two_cores_run_at_once_and_a_fifth_waits(
    pool: Pool, tmp_path: Path, home: Path
) -> None:
    project = make_project(tmp_path / "project")
    half = planned(project, home, "cluster.share=1/2", "recipe.pause=0.2")
    runs = [submit(pool, replace(half, seed=seed)) for seed in range(5)]
    for run in runs[:4]:
        until(pool, run, lambda row: workers(pool, row.id))
    cores = [psutil.Process(*workers(pool, run)).cpu_affinity() for run in runs[:4]]
    assert sorted(map(len, cores)) in ([1] * 4, [1, 1, 2, 2])  # another pool may have a core
    waits = pool.journal.run(runs[4])
    assert waits.reason.startswith("waits for 0.5 CPU: 0 free, held by")
    pool.stop(runs[0])
    assert [over(pool, run).status for run in runs[1:]] == [Status.SUCCEEDED] * 4


def test_the_last_of_two_that_slow_each_other_down_goes_on_alone(
    pool: Pool, tmp_path: Path, home: Path
) -> None:
    project = make_project(tmp_path / "project", JEALOUS)
    words = ("cluster.share=1/2", f"recipe.pause={PAUSE}", "budget.steps=150", "evaluate.every=150")
    plan = replace(planned(project, home, *words), alone=16 / PAUSE)
    first = submit(pool, plan)
    until(pool, first, lambda row: row.status is Status.RUNNING)
    second = submit(pool, replace(plan, seed=1))
    parted = until(pool, second, lambda row: row.attempt == 2)
    assert pool.journal.plan(second).cluster.share is None
    told = [e.data for e in pool.journal.events(second) if e.kind == "yields"]
    assert told[0]["alone"]
    assert parted.failures == 0
    runs = [over(pool, run) for run in (first, second)]
    assert [(run.status, run.attempt) for run in runs] == [
        (Status.SUCCEEDED, 1),
        (Status.SUCCEEDED, 2),
    ]
    steps = [
        e.data["step"]
        for e in pool.journal.events(second)
        if e.kind == "metrics" and e.attempt == 2
    ]
    assert min(steps) > 20  # it went on from its checkpoint
