"""The forkserver, real: what its workers need not import, and what it must not have done."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.engine.spread import LAYOUTS, layout, plan_for
from tests.engine.trials import assignment
from tests.pool.inspector import IMPORTED
from tests.projects import TWO, make_project, over, planned
from turnaround.launch.pool import Pool
from turnaround.pool.node.nursery import Nursery
from turnaround.spec import Budget, Plan, Status, to_dict, to_json

ENTRY = "tests.pool.inspector:work"
PATIENCE = 100.0  # seconds; 3 on a quiet machine
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
    plan = replace(plan, entry=ENTRY)
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
    return recipes_apart(folder / IMPORTED.format(rank=0))


def recipes_apart(file: Path) -> set[str]:
    names = file.read_text().split()
    return {name for name in names if not name.startswith("turnaround_recipe_")}


@pytest.fixture(scope="module")
def pool(home: Path) -> Pool:
    """The pool of this test run; its end is told to it by tests/conftest.py."""
    pool = Pool(home)
    pool.ensure(print, TWO)
    return pool


def afresh(pool: Pool, plan: Plan) -> set[str]:
    """What a worker of the pool imported."""
    run = over(pool, pool.submit(replace(plan, entry=ENTRY), again=True)[0].id)
    assert run.status is Status.SUCCEEDED, run.reason
    return recipes_apart(pool.journal.folder(run.id) / IMPORTED.format(rank=0))


@pytest.mark.ray
def test_a_worker_imports_nothing_that_the_forkserver_could_have(
    pool: Pool, home: Path, tmp_path: Path
) -> None:
    plan = planned(make_project(tmp_path / "project"), home, "budget.steps=2")
    deadline = time.monotonic() + PATIENCE
    while new := afresh(pool, plan):
        assert time.monotonic() < deadline, new  # it imports the last of it when it is idle


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_nor_does_one_of_two_ranks(nursery: Nursery, tmp_path: Path, name: str) -> None:
    plan = plan_for(name, budget=Budget(steps=2), layout=layout(name))
    assert imported(nursery, plan, tmp_path) == set()


def forkserver(pool: Pool) -> psutil.Process:
    record = pool.record()
    assert record is not None
    for process in psutil.Process(record.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one of those that come and go
            if "turnaround.pool.node.spawn" in process.cmdline():
                return process
    raise AssertionError("no forkserver")


@pytest.mark.ray
def test_the_forkserver_has_one_thread_and_has_not_touched_cuda(pool: Pool) -> None:
    process = forkserver(pool)
    assert process.num_threads() == 1
    opened = Path(f"/proc/{process.pid}/maps")
    assert "/dev/nvidia" not in (opened.read_text() if opened.exists() else "")


FAMILY = """
import contextlib, os, select, signal, socket, subprocess, sys
from turnaround.pool.node import spawn

apart, how = sys.argv[1] == "apart", sys.argv[2]
line, ours = socket.socketpair()
lives, held = os.pipe()  # at its end when nobody holds it any more
began, begun = os.pipe()
if not (pid := os.fork()):
    os.setsid()
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=apart, stdout=held)
    os.write(begun, str(sleeper.pid).encode())
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)
os.close(held)
sleeper = int(os.read(began, 20))
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
spawn._reap(line)
over, _, _ = select.select([lives], [], [], 0.1 if apart else 5.0)
with contextlib.suppress(ProcessLookupError):
    os.kill(sleeper, signal.SIGKILL)
print("ended" if over else "lives", ours.recv(100).decode())
"""


@pytest.mark.parametrize(("how", "code"), [("left", 0), ("killed", -signal.SIGKILL)])
@pytest.mark.parametrize(("place", "fate"), [("beside", "ended"), ("apart", "lives")])
def test_what_a_worker_has_started_ends_with_it_but_for_other_sessions(
    place: str, fate: str, how: str, code: int
) -> None:
    command = [sys.executable, "-c", FAMILY, place, how]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=20)
    found, said = done.stdout.split(maxsplit=1)
    assert (found, json.loads(said)["status"]) == (fate, code)
