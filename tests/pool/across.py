"""What two nodes do together, told as JSON: carried out inside one of them by scripts/two_nodes.

    scripts/two_nodes python -m tests.pool.across FOLDER

Each case is run twice, with few steps and with more: the difference is what a step costs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import projects
from turnaround import plan as planning
from turnaround.config import compose
from turnaround.journal import home
from turnaround.launch.base import frozen
from turnaround.launch.facts import gather
from turnaround.launch.pool import Pool
from turnaround.spec import Cluster

WIDE = '''"""Fit numbers of a file with two wide layers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe


@dataclass(frozen=True)
class Config:
    pause: float = 0.0


class Wide(Recipe[tuple[Tensor, Tensor]]):
    config: Config

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        rows = json.loads(Path(str(self.source.path)).read_text())
        return [(torch.tensor(row[:8]), torch.tensor(row[8:])) for row in rows]

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(8, 512), nn.Tanh(), nn.Linear(512, 512), nn.Linear(512, 1))

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor]:
        time.sleep(self.config.pause)
        return (batch[0],)

    def loss(self, output: Tensor, batch: tuple[Tensor, Tensor]) -> Mean:
        return Mean.of((output - batch[1]).square().sum(), len(output))

    def length(self, example: tuple[Tensor, Tensor]) -> int:
        return 1
'''
PARAMETERS = 9 * 512 + 513 * 512 + 513
CASES = {
    "single": ["layout=single"],
    "ddp": ["layout=ddp", "layout.replicate=4"],
    "hsdp": ["layout=hsdp", "layout.replicate=2", "layout.shard=2"],
    "away": ["layout=single", "cluster.labels.node=two"],
    "hybrid": ["update=hybrid", "update.groups=2", "layout=ddp", "layout.replicate=2"],
}
LOSING = ["budget.steps=60", "recipe.pause=0.1", "evaluate.every=10"]
Meanwhile = Callable[[Pool, str], None]
BYTES = 8 * PARAMETERS  # of the gradients, in fp64
SHORT, LONG = 8, 24  # steps


def main(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    project = projects.make_project(folder / "project")
    (project / "recipes" / "wide.py").write_text(WIDE)
    rows = [[((7 * i + 3 * k) % 11) / 11 for k in range(9)] for i in range(64)]
    (project / "rows.json").write_text(json.dumps(rows))
    (project / ".gitignore").write_text("rows.json\n")
    pool = Pool(home())
    for name, words in CASES.items():
        few, many = (
            carried_out(pool, project, [*words, f"budget.steps={n}"]) for n in (SHORT, LONG)
        )
        step = (many["bytes"] - few["bytes"]) / (LONG - SHORT)
        yield name, {**many, "gradients": step / BYTES}
    yield "lost", carried_out(pool, project, [*CASES["ddp"], *LOSING], kill_the_other)


def carried_out(
    pool: Pool, project: Path, words: list[str], meanwhile: Meanwhile | None = None
) -> dict[str, Any]:
    """The curve of a run, and the bytes that crossed the link meanwhile."""
    words = ["recipe=wide", "data.path=rows.json", "precision=fp64", *words]
    config = compose([*projects.WORDS, "evaluate.every=100", *words], project, home() / "cache")
    inventory = pool.inventory(Cluster())
    assert inventory is not None
    made = planning.make(config, gather(config, project, inventory))
    before = crossed()
    run, _ = pool.submit(frozen(made, config.recipe_file, home()), again=True)
    if meanwhile:
        meanwhile(pool, run.id)
    row = projects.over(pool, run.id, 120)
    events = [e for e in pool.journal.events(run.id) if e.kind == "metrics"]
    curve = [e.data["values"]["loss"] for e in events if "loss" in e.data["values"]]
    said = {"status": row.status, "reason": row.reason, "attempt": row.attempt}
    kept = sorted(path.name for path in (pool.journal.folder(run.id) / "checkpoints").iterdir())
    notices = [e.data["message"] for e in pool.journal.events(run.id) if e.kind == "notice"]
    said |= {"notices": notices}
    return {**said, "curve": curve, "bytes": crossed() - before, "checkpoints": kept}


def kill_the_other(pool: Pool, run: str) -> None:
    """Every process of the other node, as when its power fails."""
    projects.until(pool, run, lambda row: any((pool.journal.folder(run)).glob("checkpoints/step*")))
    listed = ["ip", "netns", "pids", os.environ["OTHER_NODE"]]
    for pid in subprocess.run(listed, capture_output=True, check=True).stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def crossed() -> int:
    """Bytes over every interface of this node but the loopback one."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    rows = (line.replace(":", " ").split() for line in lines)
    return sum(int(row[1]) + int(row[9]) for row in rows if row[0] != "lo")


if __name__ == "__main__":
    print(json.dumps(dict(main(Path(sys.argv[1])))))
