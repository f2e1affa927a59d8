"""A delay that is put into a run shows in its row of the ledger, and in no other.

What was slept is measured where it was slept, so that a busy machine's long sleeps count in full;
the row may hold a tenth more, and FLOOR seconds of what it costs by itself.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import projects
from tests.engine.trials import Gang, Told, assignment, ddp
from tests.examples import example_plan
from tests.projects import TWO, over, planned, until
from tests.workshop import Workshop
from turnaround import worker
from turnaround.journal import Journal
from turnaround.launch import inline
from turnaround.launch.pool import Pool
from turnaround.ledger import settle
from turnaround.spec import (
    Budget,
    Checkpoint,
    Data,
    Evaluate,
    Event,
    Place,
    Plan,
    Recipe,
    Status,
    Tracking,
)
from turnaround.tracking.start import Lock, files, stop

slow = partial(pytest.param, marks=pytest.mark.slow)
PIECE, PIECES = 0.05, 10  # seconds of one sleep; of how many
TRIES = 5
FLOOR = 0.15  # seconds; rows of this recipe cost 1 to 30 ms on an idle machine
LOOP = ("data", "compute", "communicate", "optimize", "checkpoint", "evaluate", "log", "other")
RECIPE = '''"""Fit a line, and dawdle where one is told to."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Config:
    where: str = ""
    rank: int = 0  # the one that dawdles
    pieces: int = 10  # of 0.05 s each, after one another


def sleep(seconds: float) -> None:
    began = time.perf_counter()
    time.sleep(seconds)
    with (HERE / "slept").open("a") as file:
        print(time.perf_counter() - began, file=file)


class Dawdler(Recipe[tuple[Tensor, Tensor]]):
    config: Config
    slept = 0  # pieces
    seen = 0  # batches with gradients; the first may be those of a rehearsal

    @property
    def trains(self) -> bool:
        return self.seen > 2

    def dawdle(self, where: str, pieces: int = 1) -> None:
        mine = torch.distributed.is_initialized() and torch.distributed.get_rank()
        due = self.slept < self.config.pieces and self.config.rank == mine
        if where == self.config.where and due:
            self.slept += pieces
            sleep(0.05 * pieces)

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        x = torch.linspace(-1, 1, 40).view(-1, 1)
        return list(zip(x, 3 * x, strict=True))

    def collate(self, examples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        if self.trains and torch.is_grad_enabled():
            self.dawdle("data")
        return super().collate(examples)

    def model(self) -> nn.Module:
        self.dawdle("build", 10)
        return nn.Linear(1, 1)

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor]:
        if torch.is_grad_enabled():
            self.seen += 1
            if self.trains:
                self.dawdle("compute")
        return (batch[0],)

    def loss(self, output: Tensor, batch: tuple[Tensor, Tensor]) -> Mean:
        return Mean.of((output - batch[1]).square().sum(), len(output))

    def score(
        self, model: nn.Module, batch: tuple[Tensor, Tensor], output: Tensor
    ) -> dict[str, Mean]:
        if self.trains:
            self.dawdle("evaluate")
        return {}

    def samples(
        self, model: nn.Module, examples: list[tuple[Tensor, Tensor]]
    ) -> tuple[list[str], list[list[str]]]:
        if self.trains:
            self.dawdle("finish", 10)
        return [], []

    def length(self, example: tuple[Tensor, Tensor]) -> int:
        return 1
'''


@dataclass
class Dawdle:
    """A project with that recipe, and what it slept."""

    project: Path

    def plan(self, where: str = "", **changes: Any) -> Plan:
        """Twenty steps."""
        asked = Recipe("dawdler", {"where": where, **changes.pop("knobs", {})})
        place = Place(str(self.project), sys.executable, "recipes/dawdler.py", "c0de", "da7a")
        plan = replace(
            example_plan(),
            recipe=asked,
            data=Data(batch=10),
            budget=Budget(steps=20),
            evaluate=Evaluate(every=4),
            checkpoint=Checkpoint(every=4),
            place=place,
        )
        return replace(plan, **changes)

    def slept(self) -> float:
        """Seconds in all."""
        return sum(map(float, (self.project / "recipes" / "slept").read_text().split()))

    def sleep(self, seconds: float = PIECE) -> None:
        """The same, for what is no recipe's."""
        began = time.perf_counter()
        time.sleep(seconds)
        with (self.project / "recipes" / "slept").open("a") as file:
            print(time.perf_counter() - began, file=file)

    def slowed(self, act: Callable[..., Any], seconds: float = PIECE) -> Callable[..., Any]:
        """`act`, after a sleep for the first PIECES times."""
        left = [seconds] * PIECES

        def slow(*args: Any, **named: Any) -> Any:
            if left:
                self.sleep(left.pop())
            return act(*args, **named)

        return slow


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is always done: busy ones take 30 ms and more, at random."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture
def dawdle(tmp_path: Path) -> Dawdle:
    project = tmp_path / "project"
    (project / "recipes").mkdir(parents=True)
    (project / "recipes" / "dawdler.py").write_text(RECIPE)
    return Dawdle(project)


def train(plan: Plan, home: Path, slow: Callable[[str], None] = lambda line: None) -> list[Event]:
    """The events of a run in this process."""
    told = Told()

    def send(text: str) -> None:
        slow(text)
        told.events += [Event(**json.loads(line)) for line in text.splitlines()]

    assert worker.work(plan, assignment(home, plan), send) == 0, told.events[-1]
    return told.events


def assert_charged(
    dawdle: Dawdle, row: str, home: Path, act: Callable[[Path], list[Event]]
) -> None:
    """To that row, within a tenth and FLOOR; the other rows of the loop have at most as much.

    One of TRIES runs has to show it: other programs may stop this one for longer than FLOOR.
    """
    for nth in range(TRIES):
        (dawdle.project / "recipes" / "slept").unlink(missing_ok=True)
        rows = settle(act(home / str(nth)), time.time()).rows
        slept = dawdle.slept()
        assert slept >= PIECE * PIECES
        others = max(rows[other] for other in LOOP if other != row)
        if 0.9 * slept <= rows[row] <= 1.1 * slept + FLOOR and others < 0.1 * slept + FLOOR:
            return
    raise AssertionError(rows)


@pytest.mark.parametrize("row", ["data", "compute", slow("evaluate"), slow("build"), "finish"])
def test_a_slow_recipe_is_charged_to_the_row_of_what_is_slow(
    dawdle: Dawdle, tmp_path: Path, row: str
) -> None:
    assert_charged(dawdle, row, tmp_path, lambda home: train(dawdle.plan(row), home))


@pytest.mark.slow
def test_a_recipe_that_imports_something_slow_is_charged_to_import(
    dawdle: Dawdle, tmp_path: Path
) -> None:
    file = dawdle.project / "recipes" / "dawdler.py"
    file.write_text(RECIPE + "\n\nsleep(0.5)\n")
    assert_charged(dawdle, "import", tmp_path, lambda home: train(dawdle.plan(), home))


def test_a_slow_disk_is_charged_to_checkpoint(
    dawdle: Dawdle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(home: Path) -> list[Event]:
        monkeypatch.setattr(os, "fsync", dawdle.slowed(os.fsync))
        return train(dawdle.plan(), home)

    assert_charged(dawdle, "checkpoint", tmp_path, act)


def test_a_slow_optimizer_is_charged_to_optimize(
    dawdle: Dawdle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act(home: Path) -> list[Event]:
        monkeypatch.setattr(torch.optim.Adam, "step", dawdle.slowed(torch.optim.Adam.step))
        return train(dawdle.plan(), home)

    assert_charged(dawdle, "optimize", tmp_path, act)


def test_a_listener_that_is_slow_to_take_metrics_is_charged_to_log(
    dawdle: Dawdle, tmp_path: Path
) -> None:
    def act(home: Path) -> list[Event]:
        dawdling = dawdle.slowed(lambda line: None)

        def listen(line: str) -> None:
            if '"kind": "metrics"' in line:
                dawdling(line)

        return train(dawdle.plan(), home, listen)

    assert_charged(dawdle, "log", tmp_path, act)


def test_a_straggler_is_charged_to_communicate_of_the_rank_that_waits(
    dawdle: Dawdle, tmp_path: Path
) -> None:
    file = dawdle.project / "recipes" / "dawdler.py"
    file.write_text(RECIPE + "\n\nos.fsync = lambda file: None\n")  # a process of its own
    plan = dawdle.plan("compute", knobs={"rank": 1, "pieces": 15}, layout=ddp(2))

    def act(home: Path) -> list[Event]:
        waits, dawdles = Gang(plan, home).wait()
        assert [waits.code, dawdles.code] == [0, 0]
        return waits.events

    assert_charged(dawdle, "communicate", tmp_path, act)


# ── the recorder ──


@pytest.fixture
def workshop(tmp_path: Path, blank: Path) -> Iterator[Workshop]:
    """A home beside the project, with an empty store."""
    (tmp_path / "shop").mkdir()
    workshop = Workshop(tmp_path / "shop")
    workshop.database.write_bytes(blank.read_bytes())
    yield workshop
    stop(workshop.home)


def carried_out(dawdle: Dawdle, workshop: Workshop) -> str:
    """The id of an inline run that is over and is to be recorded in the workshop's store."""
    plan = dawdle.plan(tracking=Tracking(uri=workshop.uri))
    inline.run(replace(plan, cluster=replace(plan.cluster, name="inline")), workshop.journal, _deaf)
    return workshop.journal.runs()[0].id


def _deaf(event: Event) -> None:
    pass


def recorded(journal: Journal, run: str, patience: float = 100.0) -> list[Event]:
    """The events of the run, once all of it is recorded."""
    deadline = time.monotonic() + patience
    while (events := list(journal.events(run)))[-1].kind != "recorded":
        assert time.monotonic() < deadline, events[-1]
        time.sleep(0.02)
    return events


def assert_finished(events: list[Event], slept: float) -> None:
    """`finish` has the delay and what recording costs by itself; the loop knew nothing of it."""
    times = {event.kind: event.time for event in events}
    ended, told = times["status"], times["recorded"]
    rows = settle(events, time.time()).rows
    assert told - ended >= 0.98 * slept
    assert told - ended <= rows["finish"] <= told - ended + FLOOR, rows
    assert max(rows[row] for row in LOOP) < 0.98 * slept, rows  # a busy machine may stall as well


@pytest.mark.slow
def test_a_slow_store_is_charged_to_finish(
    dawdle: Dawdle, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from turnaround.tracking.rounds import Rounds
    from turnaround.tracking.store import Store

    lock = Lock(files(workshop.home, workshop.uri).lock)
    assert lock.take()  # this test is the recorder
    try:
        run = carried_out(dawdle, workshop)
    finally:
        lock.release()
    monkeypatch.setattr(Store, "write", dawdle.slowed(Store.write, seconds=0.3))
    rounds = Rounds(workshop.home, workshop.uri)
    while rounds.go():
        pass
    assert_finished(recorded(workshop.journal, run), dawdle.slept())


@pytest.mark.slow  # the recorder imports MLflow, and tries again after a while
def test_a_store_that_is_locked_is_charged_to_finish(dawdle: Dawdle, workshop: Workshop) -> None:
    with closing(sqlite3.connect(workshop.database)) as database:
        database.execute("BEGIN IMMEDIATE")
        run = carried_out(dawdle, workshop)
        dawdle.sleep(2.0)
        database.rollback()
    assert_finished(recorded(workshop.journal, run), dawdle.slept())


# ── the pool ──


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of this test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return projects.make_project(tmp_path / "project-of-the-pool")


@pytest.mark.ray
def test_devices_that_another_run_holds_are_charged_to_queue(
    pool: Pool, project: Path, home: Path
) -> None:
    both = ("layout=ddp", "layout.replicate=2", "recipe.pause=0.02")
    first = pool.submit(planned(project, home, *both), again=True)[0].id
    until(pool, first, lambda row: row.status is Status.RUNNING)
    second = pool.submit(planned(project, home, "seed=3"), again=True)[0].id
    over(pool, second)
    waited = moment(pool, first, "SUCCEEDED") - moment(pool, second, "QUEUED")
    rows = settle(pool.journal.events(second), time.time()).rows
    assert waited > 0.3
    assert waited - FLOOR <= rows["queue"] <= 1.1 * waited + FLOOR, rows


DYING = """        time.sleep(self.config.pause)
        self.seen = getattr(self, "seen", 0) + torch.is_grad_enabled()
        if self.seen == 36 and not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.ray
def test_steps_that_a_killed_worker_had_done_are_charged_to_replay(
    pool: Pool, home: Path, tmp_path: Path
) -> None:
    recipe = projects.STEADY.replace("        time.sleep(self.config.pause)\n", DYING)
    recipe = recipe.replace("import time\n", "import os\nimport time\nfrom pathlib import Path\n")
    project = projects.make_project(tmp_path / "mortal", recipe)
    words = ("recipe.pause=0.05", "checkpoint.every=20", "evaluate.every=20")
    run = pool.submit(planned(project, home, *words), again=True)[0].id
    assert over(pool, run).attempt == 2
    redone = steps(pool, run, 1) - 20
    account = settle(pool.journal.events(run), time.time())
    assert 0.98 * 0.05 * redone <= account.rows["replay"] <= 1.1 * 0.05 * redone + 2 * FLOOR
    assert account.attempts[1].rows["replay"] == 0
    assert account.attempts[2].rows["recover"] > 0


def steps(pool: Pool, run: str, attempt: int) -> int:
    """The last step that the attempt told of."""
    found = (e for e in pool.journal.events(run) if e.kind == "metrics" and e.attempt == attempt)
    return max((e.data["step"] for e in found), default=0)


def moment(pool: Pool, run: str, status: str) -> float:
    """When the run came to be so."""
    events = pool.journal.events(run)
    return next(e.time for e in events if e.data.get("status") == status)
