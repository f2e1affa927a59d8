"""A Plan: all that a run needs to know, resolved, and what it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from turnaround.spec.groups import (
    Budget,
    Checkpoint,
    Cluster,
    Data,
    Evaluate,
    Layout,
    Optim,
    Recipe,
    Tracking,
    Update,
)
from turnaround.spec.kinds import Amount, Count, Seed


@dataclass(frozen=True)
class Place:
    """The code, the environment and the folder a run starts from."""

    project: str  # absolute; the working folder of every worker
    interpreter: str  # absolute path of the Python that runs the workers
    recipe_file: str  # path of the recipe inside the snapshot
    code: str  # hash of the recipe's file and of the project files it reaches by import
    data: str  # fingerprint of the data files
    snapshot: str | None = None  # hash; none until submitted
    git_sha: str | None = None
    dirty: bool = False
    environ: dict[str, str] = field(default_factory=dict)  # allow-listed variables of the shell


@dataclass(frozen=True)
class Plan:
    """What will be done, resolved."""

    recipe: Recipe
    data: Data
    optim: Optim
    layout: Layout
    update: Update
    budget: Budget
    evaluate: Evaluate
    checkpoint: Checkpoint
    cluster: Cluster
    tracking: Tracking
    place: Place
    signature: str
    seed: Seed = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    init_from: str | None = None  # id of the run whose parameters this one starts from
    start: str | None = None  # the checkpoint that those were in when this was planned
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    until: Count | None = None  # a step to pause at; set by sweeps, which resume what is worth it
    fork: str | None = None  # RUN@STEP: the checkpoint it goes on from as if it were its own; ditto
    carries: dict[str, int] = field(default_factory=dict)  # runs it trains as one → attempts before
    alone: Amount | None = None  # examples/s where it need not share its device; ditto
    entry: str = "turnaround.worker:work"  # resolved where the job runs
    version: str = ""  # of turnaround

    @property
    def experiment(self) -> str:
        """The MLflow experiment."""
        return self.tracking.experiment or self.recipe.name

    @property
    def devices(self) -> int:
        """Groups times the devices of each; a process on every one."""
        return (self.update.groups or 1) * self.layout.devices

    @property
    def vital(self) -> int:
        """How many of the first ranks the run cannot go on without."""
        return self.layout.devices if self.update.apart else self.devices
