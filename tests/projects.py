"""A small project of a user's own, and the path from its words to a queued run."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from turnaround import plan as planning
from turnaround.config import compose
from turnaround.journal import Run
from turnaround.launch.base import frozen
from turnaround.launch.facts import gather
from turnaround.launch.pool import Pool
from turnaround.spec import Inventory, Place, Plan

TWO = Inventory(cpus=2, gpus=0)
STEADY = '''"""Fit a line. `pause` makes a step as slow as a test needs it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe


@dataclass(frozen=True)
class Config:
    pause: float = 0.0  # seconds per batch
    slope: float = 3.0


class Steady(Recipe[tuple[Tensor, Tensor]]):
    config: Config

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        x = torch.linspace(-1, 1, 128).view(-1, 1)
        return list(zip(x, self.config.slope * x, strict=True))

    def model(self) -> nn.Module:
        return nn.Linear(1, 1)

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor]:
        time.sleep(self.config.pause)
        return (batch[0],)

    def loss(self, output: Tensor, batch: tuple[Tensor, Tensor]) -> Mean:
        return Mean.of((output - batch[1]).square().sum(), len(output))

    def length(self, example: tuple[Tensor, Tensor]) -> int:
        return 1
'''
WORDS = [
    "recipe=steady",
    "budget.steps=40",
    "data.batch=16",
    "evaluate.every=20",
    "cluster.device=cpu",
    "cluster.threads=1",
    "tracking=none",
]


def make_project(folder: Path, recipe: str = STEADY) -> Path:
    """A folder with one recipe, `steady`."""
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "steady.py").write_text(recipe)
    return folder


def planned(project: Path, home: Path, *words: str) -> Plan:
    """The plan of `turnaround run recipe=steady …` in that project, its code frozen."""
    config = compose([*WORDS, *words], project, home / "cache")
    made = planning.make(config, gather(config, project, TWO))
    return frozen(made, config.recipe_file, home)


def of(plan: Plan, **place: str) -> Plan:
    """The plan, with parts of its place changed."""
    changed: Place = replace(plan.place, **place)  # type: ignore[arg-type]  # strings all
    return replace(plan, place=changed)


def over(pool: Pool, run: str, patience: float = 150.0) -> Run:
    """The run, once it is over."""
    return until(pool, run, lambda row: row.status.over, patience)


def until(pool: Pool, run: str, ready: object, patience: float = 150.0) -> Run:
    """The run, once `ready(run)` holds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if ready(row := pool.journal.run(run)):  # type: ignore[operator]  # a predicate
            return row
        time.sleep(0.01)
    told = (pool.journal.folder(run) / "log.txt").read_text()[-2000:]
    raise AssertionError(f"{pool.journal.run(run)} did not get there\n{told}")
