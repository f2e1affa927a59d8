"""A trained model's answer to a line of text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from turnaround.engine import precision
from turnaround.engine.checkpoint import Checkpoints
from turnaround.errors import CheckpointError
from turnaround.spec import Plan
from turnaround.worker.assembly import recipe_of
from turnaround.worker.process import settle


def answer(plan: Plan, folder: Path, code: Path) -> Callable[[str], str]:
    """What the best parameters of the run in `folder` make of a line of text."""
    settle(plan, code, threads=1)
    checkpoints = Checkpoints(folder / "checkpoints", keep=1, warn=lambda message: None)
    name = checkpoints.best()
    if name is None:
        hint = "wait for its first evaluation"
        raise CheckpointError(f"run {folder.name} has no checkpoint yet", hint)
    kept = precision.named(plan.precision).parameters
    recipe = recipe_of(plan, folder, code)
    with kept():
        model = recipe.model().eval()
    model.load_state_dict(checkpoints.load(name)["model"])

    def reply(line: str) -> str:
        with kept(), torch.no_grad():
            return recipe.answer(model, line)

    return reply
