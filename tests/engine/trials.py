"""Runs of a tiny recipe, in this process or as a gang of forked ones, and what they said."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from tests.examples import example_plan
from turnaround import worker
from turnaround.spec import (
    Assignment,
    Budget,
    Data,
    Evaluate,
    Event,
    Layout,
    Optim,
    Place,
    Plan,
    Recipe,
)

PROJECT = Path(__file__).parent / "project"
DEADLINE = 500.0  # seconds for a gang; four processes on two busy cores took over 100


def trial_plan(**changes: Any) -> Plan:
    """Forty steps of the tiny recipe, with uneven numbers of targets in every piece."""
    plan = replace(
        example_plan(),
        recipe=Recipe("digits", {}),
        data=Data(batch=10),
        optim=Optim(lr=0.01),
        budget=Budget(steps=40),
        evaluate=Evaluate(every=10, score="right"),
        place=Place(str(PROJECT), sys.executable, "recipes/digits.py", "c0de", "da7a"),
    )
    return replace(plan, **changes)


def trial_of(name: str, **changes: Any) -> Plan:
    """Forty steps of another of the tests' recipes, which tells no score."""
    place = replace(trial_plan().place, recipe_file=f"recipes/{name}.py")
    looks = Evaluate(every=10)
    return trial_plan(**{"recipe": Recipe(name, {}), "place": place, "evaluate": looks} | changes)


@dataclass
class Told:
    """What a run said, and how it ended."""

    code: int = 0
    events: list[Event] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a kind."""
        return [event.data for event in self.events if event.kind == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """The data of the only event of a kind."""
        (only,) = self.of(kind)
        return only

    def curve(self, name: str = "loss", split: str = "train") -> dict[int, float]:
        """Step → number."""
        points = [point for point in self.of("metrics") if point["split"] == split]
        return {point["step"]: point["values"][name] for point in points if name in point["values"]}


def assignment(home: Path, plan: Plan, **changes: Any) -> Assignment:
    """Rank 0 of a first attempt, in a folder below `home`."""
    folder = home / "runs" / "digits-22222"
    folder.mkdir(parents=True, exist_ok=True)
    whole = Assignment("digits-22222", str(folder), plan.place.project, attempt=1)
    return replace(whole, size=plan.devices, **changes)


def train(plan: Plan, home: Path, attempt: int = 1) -> Told:
    """Carry the plan out in this process."""
    told = Told()

    def send(text: str) -> None:
        told.events += [Event(**json.loads(line)) for line in text.splitlines()]

    told.code = worker.work(plan, assignment(home, plan, attempt=attempt), send)
    return told


# ── gangs ──

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "turnaround.worker", __name__])


@contextmanager
def without_home() -> Iterator[None]:
    """The forkserver, which starts with the first of its children, outlives the tests' home."""
    home = os.environ.pop("TURNAROUND_HOME", None)
    try:
        yield
    finally:
        os.environ.update({"TURNAROUND_HOME": home} if home else {})


class Gang:
    """Every rank of an attempt as a process of its own, forked from one that has imported torch."""

    def __init__(self, plan: Plan, home: Path, attempt: int = 1) -> None:
        self._folder = Path(assignment(home, plan).folder)
        self._attempt = attempt
        with socket.create_server(("127.0.0.1", 0)) as listener:
            store = "{}:{}".format(*listener.getsockname())
            self.ranks = [
                self._start(
                    plan, assignment(home, plan, attempt=attempt, rank=r, store=store), listener
                )
                for r in range(plan.devices)
            ]

    def _start(self, plan: Plan, rank: Assignment, listener: socket.socket) -> ForkServerProcess:
        given = listener if rank.rank == 0 and rank.size > 1 else None
        process = CONTEXT.Process(target=_rank, args=(plan, rank, self._lines(rank.rank), given))
        with without_home():
            process.start()
        return process

    def _lines(self, rank: int) -> Path:
        return self._folder / f"attempt-{self._attempt}-rank-{rank}.jsonl"

    def told(self, rank: int = 0) -> Told:
        """What a rank has said so far."""
        code = self.ranks[rank].exitcode
        path = self._lines(rank)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        return Told(code or 0, [Event(**json.loads(line)) for line in whole])

    def wait(self) -> list[Told]:
        """What every rank said, once all have ended."""
        for process in self.ranks:
            process.join(DEADLINE)
        hanging = [process for process in self.ranks if process.is_alive()]
        for process in hanging:
            process.kill()
        assert not hanging, "a rank hangs"
        return [self.told(rank) for rank in range(len(self.ranks))]

    def until(self, reached: Callable[[Told], bool]) -> None:
        """Wait for rank 0 to have said something."""
        deadline = time.monotonic() + DEADLINE
        while not reached(self.told()):
            assert time.monotonic() < deadline, "it never said so"
            assert self.ranks[0].is_alive(), self.told().events[-1]
            time.sleep(0.01)


def _rank(plan: Plan, mine: Assignment, lines: Path, listener: socket.socket | None) -> None:
    with lines.open("a", buffering=1) as file:
        listening = listener.detach() if listener else None
        sys.exit(worker.work(plan, mine, lambda line: print(line, file=file), listening))


def ddp(devices: int = 2) -> Layout:
    """The layout of that many replicas."""
    return Layout("ddp", devices)
