"""The forkserver, real: what its workers need not import, and what it must not have done."""

from __future__ import annotations

import os
import queue
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.engine.spread import LAYOUTS, layout, plan_for
from tests.engine.trials import assignment, trial_plan
from tests.pool.inspector import IMPORTED
from turnaround.pool.nursery import Nursery
from turnaround.spec import Budget, Plan, to_dict, to_json

PATIENCE = 60.0  # seconds; 3 on a quiet machine
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A forkserver that has imported all it is going to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # where the inspector is
        nursery = Nursery(sys.executable, tmp_path_factory.mktemp("nursery") / "log.txt")
    assert nursery.complete.wait(PATIENCE)
    yield nursery
    nursery.close()


def imported(nursery: Nursery, plan: Plan, home: Path) -> set[str]:
    """What rank 0 of the plan imported besides its recipe, once every rank has ended."""
    plan = replace(plan, entry="tests.pool.inspector:work")
    folder = Path(assignment(home, plan).folder)
    (folder / "plan.json").write_text(to_json(plan))
    ended: queue.Queue[int] = queue.Queue()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        store = "{}:{}".format(*listener.getsockname())
        log = stack.enter_context((folder / "log.txt").open("ab"))
        said = stack.enter_context((folder / "said.jsonl").open("ab"))
        for rank in range(plan.devices):
            mine = assignment(home, plan, rank=rank, store=store)
            asked = {"plan": str(folder / "plan.json"), "assignment": to_dict(mine)}
            extra = [listener.fileno()] if plan.devices > 1 and rank == 0 else []
            fds = [log.fileno(), said.fileno(), *extra]
            nursery.fork({**asked, "environ": dict(os.environ)}, fds, ended.put)
    codes = [ended.get(timeout=PATIENCE) for _ in range(plan.devices)]
    assert not any(codes), (folder / "said.jsonl").read_text()[-2000:]
    names = (folder / IMPORTED.format(rank=0)).read_text().split()
    return {name for name in names if not name.startswith("turnaround_recipe_")}


def test_a_worker_imports_nothing_that_the_forkserver_could_have(
    nursery: Nursery, tmp_path: Path
) -> None:
    assert imported(nursery, trial_plan(budget=Budget(steps=2)), tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_nor_does_one_of_two_ranks(nursery: Nursery, tmp_path: Path, name: str) -> None:
    plan = plan_for(name, budget=Budget(steps=2), layout=layout(name))
    assert imported(nursery, plan, tmp_path) == set()


def test_the_forkserver_has_one_thread_and_has_not_touched_cuda(nursery: Nursery) -> None:
    process = psutil.Process(nursery.process.pid)
    assert process.num_threads() == 1
    opened = Path(f"/proc/{process.pid}/maps")
    assert "/dev/nvidia" not in (opened.read_text() if opened.exists() else "")
