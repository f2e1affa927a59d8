"""`init_from=RUN`: start from what another run has learnt, as far as the two models agree.

    inherit(model, home / "runs" / "lm-k3x9e", world)
    # "init_from=lm-k3x9e: 12 of 14 tensors are those of best-00002000; fresh: out.weight (…), …"

A tensor is taken when the other model has one of its name and shape. The optimizer starts afresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from turnaround.engine.checkpoint import Checkpoints
from turnaround.engine.world import World
from turnaround.errors import CheckpointError, ConfigError

NAMED = 6  # tensors that are listed


@torch.no_grad()
def inherit(model: nn.Module, run: Path, world: World) -> str:
    """Copy what agrees of the best (else newest) parameters of the run in that folder; what was.

    The model is the recipe's own, before a layout spreads it. Every rank asks.
    """
    begin = f"init_from={run.name}"
    name, weights = _weights(run, world)
    mine: dict[str, Tensor] = model.state_dict()
    agree = [key for key, tensor in mine.items() if _shape(weights.get(key)) == tensor.shape]
    if not {*agree} & dict(model.named_parameters()).keys():
        found = _listed(_differing(mine, weights)) or "this model has no parameters"
        raise ConfigError(
            f"{begin}: nothing of {name} has the name and shape of one of this model's: {found}",
            "start from a run of a like model, or without init_from",
        )
    for key in agree:
        mine[key].copy_(weights[key])
    told = f"{begin}: {len(agree)} of {len(mine)} tensors are those of {name}"
    fresh = _listed(_differing(mine, weights))
    left = _listed(key for key in weights if key not in mine)
    return told + (f"; fresh: {fresh}" if fresh else "") + (f"; not used: {left}" if left else "")


def _weights(run: Path, world: World) -> tuple[str, dict[str, Tensor]]:
    """The checkpoint's name, and the parameters that it holds."""
    checkpoints = Checkpoints(run / "checkpoints", keep=1, warn=lambda message: None)
    try:
        name = world.share(checkpoints.best())
        if name is None:
            raise CheckpointError("it has no checkpoint any more")
        weights: dict[str, Tensor] = checkpoints.load(name, world)["model"]
    except CheckpointError as error:  # it would be no use to try again
        hint = "choose another run to start from"
        raise ConfigError(f"init_from={run.name}: {error.message}", hint) from None
    return name, weights


def _differing(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Iterator[str]:
    """This model's tensors that the other has not, with both shapes where it has the name."""
    for key, tensor in mine.items():
        other = _shape(theirs.get(key))
        if other is None:
            yield key
        elif other != tensor.shape:
            yield f"{key} {tuple(tensor.shape)} there {tuple(other)}"


def _shape(tensor: Tensor | None) -> torch.Size | None:
    return None if tensor is None else tensor.shape


def _listed(names: Iterator[str]) -> str:
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
