"""What is judged is what is kept, though each rank has examples of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.engine.spread import slow
from tests.engine.trials import PROJECT, Gang, trial_of
from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.recipe import load
from turnaround.spec import Budget, Evaluate, Layout, Plan, Update

SPREAD: dict[str, dict[str, Any]] = {
    "ddp": {"layout": Layout("ddp", 2)},
    "fsdp": {"layout": Layout("fsdp", shard=2)},
    "local": {"update": Update("local", groups=2, every=5)},
    "backup": {"update": Update("backup", groups=2, spares=0)},
}


def normed(**changes: Any) -> Plan:
    """A batch norm, which remembers what its rank has seen."""
    return trial_of("normed", budget=Budget(steps=7), evaluate=Evaluate(every=7), **changes)


@torch.no_grad()
def judged(weights: dict[str, Tensor]) -> float:
    """The loss of the valid split, by one device."""
    recipe = load(PROJECT / "recipes" / "normed.py", normed(), Path("/nowhere"))
    model = recipe.model().eval()
    model.load_state_dict(weights)
    batch = torch.stack(list(recipe.data("valid")))
    return recipe.loss(model(batch), batch).compute()


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[] if how == "ddp" else [slow]) for how in SPREAD]
)
def test_the_score_of_a_model_is_that_of_what_is_kept_of_it(how: str, tmp_path: Path) -> None:
    told, *_ = Gang(normed(**SPREAD[how]), tmp_path).wait()
    assert told.code == 0, told.of("error")
    kept = Checkpoints(tmp_path / "runs" / "digits-22222" / "checkpoints", keep=1, warn=print)
    weights = kept.load(str(kept.newest("best")))["model"]
    assert told.curve("loss", "valid")[7] == pytest.approx(judged(weights), rel=1e-6)
