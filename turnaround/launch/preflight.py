"""What only torch can tell of a plan, told by a short child before anything is placed.

    fit = look(plan, recipe_file, home)      # ConfigError, RecipeError: what a run would end with
    fit.parameters, fit.bytes, fit.scores

The child is forked from the pool's forkserver where one is up (0.03 s of CPU for lm, 0.5 for
seq2seq, which decodes), else it is an interpreter of its own, with 2 s of imports. The code is the
project's own as it is now: nothing is frozen, and nothing is written but what the recipe itself
keeps, a vocabulary for instance.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from turnaround import errors
from turnaround.errors import LaunchError, RecipeError
from turnaround.launch.pool import Pool
from turnaround.spec import Assignment, Event, Fit, Plan, Tracking, to_dict, to_json

ENTRY = "turnaround.worker:preflight"
PATIENCE = 120.0  # seconds; most of it for data that a recipe prepares once


def look(plan: Plan, recipe_file: Path, root: Path, patience: float = PATIENCE) -> Fit:
    """What the plan comes to with its recipe's model; LaunchError when nobody tells in time."""
    looked = replace(plan, entry=ENTRY, tracking=Tracking("none"), init_from=None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        folder = Path(home, "runs", "preflight")
        folder.mkdir(parents=True)
        Path(home, "cache").symlink_to(root / "cache")  # what a recipe keeps is kept for the run
        (root / "cache").mkdir(parents=True, exist_ok=True)
        code = str(recipe_file.parents[1])
        given = Assignment(plan.recipe.name, str(folder), code, attempt=1, forked=time.time())
        lines = _warm(looked, given, Pool(root), patience)
        if lines is None:
            lines = _cold(looked, given, patience)
        return _heard(lines, folder / "log.txt", patience)


def _warm(plan: Plan, given: Assignment, pool: Pool, patience: float) -> list[str] | None:
    """What a child of the pool's forkserver says; none where no pool of ours is up."""
    file = Path(given.folder) / "plan.json"
    file.write_text(to_json(plan))
    with contextlib.suppress(OSError, LaunchError):
        return pool.errand(file, given, patience)
    return None


def _cold(plan: Plan, given: Assignment, patience: float) -> list[str]:
    """What a process of its own says."""
    folder = Path(given.folder)
    job, said = folder / "job.json", folder / "said"
    job.write_text(json.dumps({"plan": to_dict(plan), "assignment": to_dict(given)}))
    command = [plan.place.interpreter, "-P", "-m", "turnaround.worker", str(job)]
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with said.open("wb") as events, (folder / "log.txt").open("wb") as log:
        fd = events.fileno()
        words = [*command, str(fd)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                words,
                env=environ,
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=patience,
                check=False,
            )
    return said.read_text().splitlines()


def _heard(lines: list[str], log: Path, patience: float) -> Fit:
    """The finding, or the error."""
    said = {event.kind: event.data for event in (Event(**json.loads(line)) for line in lines)}
    if "fit" in said:
        return Fit(**said["fit"])
    if "error" not in said:
        last = (log.read_text(errors="replace").strip().splitlines() or ["no word of why"])[-1]
        hint = "--quick leaves the model out; turnaround run says what comes of it"
        raise LaunchError(f"no look at the model within {patience:.0f} s: {last}", hint)
    error = said["error"]
    kind = getattr(errors, error.get("type", ""), RecipeError)
    told = filter(None, (error["message"], error["traceback"]))
    raise kind("\n".join(told), error["hint"])
