"""`layout=single`: one replica on one device. The base of every other layout, and complete.

    layout = Layout(world)
    model = layout.wrap(recipe.model())
    loss = layout.gradients(model, forward, last=True)   # summed into the parameters' .grad
    loss = layout.sum(loss)                              # over all ranks

Another layout overrides what differs, one to five methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from turnaround.engine.metrics import Mean
from turnaround.engine.world import World

Forward = Callable[[nn.Module], Mean]  # the loss of one micro-batch


class Layout:
    """One device."""

    exact = True  # draws the same loss curve as one device
    exposed = 0.0  # seconds of the last `gradients` spent waiting for other ranks

    def __init__(self, world: World) -> None:
        self.world = world

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is called while training."""
        return model.to(self.world.device)

    def whole(self, model: nn.Module) -> nn.Module:
        """The model as the recipe wrote it, for scores and checkpoints."""
        return model

    def reader(self) -> tuple[int, int]:
        """Which share of every batch this rank reads: its number, and of how many."""
        return 0, 1

    def gradients(self, model: nn.Module, forward: Forward, last: bool) -> Tensor:
        """Add the gradients of one micro-batch's summed loss; the loss's (sum, count).

        After the `last` of a step they are the sum over all ranks.
        """
        loss = forward(model)
        torch.autograd.backward(loss.sum)
        return loss.values

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over all that read different examples."""
        return values

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have."""
        return sums

    def state_dict(self, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
        """What they need to go on, by the names of the parameters."""
        names = _names(model := self.whole(model), optimizer)
        state = {names[i]: value for i, value in optimizer.state_dict()["state"].items()}
        return {"model": model.state_dict(), "optimizer": state}

    def load_state_dict(
        self, model: nn.Module, optimizer: Optimizer, state: dict[str, Any]
    ) -> None:
        """The inverse of `state_dict`; the optimizer's settings stay as the plan says."""
        names = _names(model := self.whole(model), optimizer)
        model.load_state_dict(state["model"])
        saved = state["optimizer"]
        moments = {i: saved[name] for i, name in names.items() if name in saved}
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _names(model: nn.Module, optimizer: Optimizer) -> dict[int, str]:
    """The optimizer's number of each parameter → its name in the model."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = (p for group in optimizer.param_groups for p in group["params"])
    return {i: names[id(parameter)] for i, parameter in enumerate(parameters)}
