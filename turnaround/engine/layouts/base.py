"""`layout=single`: one replica on one device. The base of every other layout, and complete.

    layout = Layout(world, plan.layout)
    model = layout.wrap(recipe.model(), recipe)
    optimizer = optim.make(plan.optim, layout.parameters(model).values())
    loss = layout.gradients(model, forward, last=True)   # its gradients into the parameters'
    loss = layout.sum(loss)                              # over all ranks

Another layout overrides what differs. Methods that say `every rank` may wait for the others: all
ranks call them equally often, in the same order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from turnaround import spec
from turnaround.engine import noise
from turnaround.engine.compress import Compressed, Reduce
from turnaround.engine.layouts import blocks
from turnaround.engine.metrics import Mean
from turnaround.engine.optim import sparse, total_norm
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World
from turnaround.errors import ConfigError

Forward = Callable[[nn.Module], Mean]  # the loss of one micro-batch
STEP = "step"  # in an optimizer's state: a count, not a moment of the parameter's shape


class Layout:
    """One device."""

    exact = True  # draws the same loss curve as one device
    by_rows: ClassVar[tuple[str, ...]] = ("cpu", "cuda")  # where it adds up sparse gradients
    exposed = 0.0  # seconds of the last `gradients` spent waiting for other ranks

    def __init__(self, world: World, settings: spec.Layout) -> None:
        self.world = world
        self.settings = settings
        self.reduce = Reduce(world)  # how gradients are added up

    @classmethod
    def portion(cls, model: nn.Module, recipe: Recipe[Any], settings: spec.Layout) -> int:
        """How many parameters lie on the device that has most; ConfigError when none of this fits.

        The model may be on the meta device, and is not changed.
        """
        return sum(parameter.numel() for parameter in model.parameters())

    @classmethod
    def admit(cls, model: nn.Module, settings: spec.Layout, device: str) -> None:
        """Refuse a model with sparse gradients where such ones are not added up."""
        tables = sparse(model)
        if tables and settings.devices > 1 and device not in cls.by_rows:
            asked = f"layout={settings.name} on {device}"
            message = f"{asked} does not add up the sparse gradients of {tables[0]}"
            raise ConfigError(message, "sparse=false for the recipe's tables, or layout=single")

    def wrap(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model as it is called while training."""
        self.admit(model, self.settings, self.world.device.type)
        model = model.to(self.world.device)
        if self.settings.activation_checkpointing:
            blocks.forget(model)
        if self.settings.compile:
            model.compile()
        return model

    def compress(self, kind: torch.dtype, model: nn.Module) -> None:
        """Send gradients in numbers of that type, where any are sent."""
        self.reduce = Compressed(kind, self.world)

    def whole(self, model: nn.Module) -> nn.Module:
        """The model as the recipe wrote it, to look at and not to change; every rank."""
        return model

    def parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """What the optimizer moves, by the names in the recipe's model."""
        return dict(self.whole(model).named_parameters())

    def running(self, model: nn.Module) -> list[Tensor]:
        """Buffers that training moves, as those of batch norms: each rank's by its own examples.

        What is judged and kept has the first rank's.
        """
        return [buffer for buffer in model.buffers() if buffer.is_floating_point()]

    def reader(self) -> tuple[int, int]:
        """Which share of every batch this rank reads: its number, and of how many."""
        return 0, 1

    def gradients(self, model: nn.Module, forward: Forward, last: bool) -> Mean:
        """Add the gradients of one micro-batch's loss; the loss.

        After the `last` of a step they are the sum over all ranks.
        """
        loss = forward(model)
        loss.backward()
        return loss

    def hears(self, pieces: int, size: int) -> list[int] | None:
        """Of how many examples `listening` tells the gradient, for each reader; none where it
        cannot.

        A batch of `size` comes to each of them in so many pieces: see `Feed.pieces`.
        """
        return [len(range(0, size, pieces))] if pieces > 1 else None

    @contextlib.contextmanager
    def listening(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Around a step's `gradients`: afterwards squared norms whose sum, over all ranks too, is
        the mean one of the gradients that are told."""
        with noise.firsts(self.parameters(model).values()) as squares:
            yield squares

    def sum(self, loss: Mean) -> Mean:
        """Of the step's loss, that of all that read different examples; once a step, every rank.

        Where there are several, `gradients` has sent each one's before its backward pass.
        """
        return loss

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The global norm of the gradients as they are; every rank."""
        return total_norm(gradients)

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have; every rank."""
        return sums

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """The state_dict of the recipe's model, as every layout has it; every rank."""
        state: dict[str, Tensor] = self.whole(model).state_dict()
        return state

    def load_weights(self, model: nn.Module, weights: dict[str, Tensor]) -> None:
        """The inverse of `weights`; every rank."""
        self.whole(model).load_state_dict(weights)

    def state_dict(self, model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
        """What they need to go on, by the names of the parameters; every rank."""
        moments = self.gathered(model, self.moments(model, optimizer))
        return {"model": self.weights(model), "optimizer": moments}

    def load_state_dict(
        self, model: nn.Module, optimizer: Optimizer, state: dict[str, Any]
    ) -> None:
        """The inverse of `state_dict`; the optimizer's settings stay as the plan says."""
        self.load_weights(model, state["model"])
        names, saved = self.names(model, optimizer), state["optimizer"]
        held = self.parameters(model)
        moments = {
            i: _laid(self.part(name, saved[name]), held[name])
            for i, name in names.items()
            if name in saved
        }
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def moments(self, model: nn.Module, optimizer: Optimizer) -> dict[str, dict[str, Any]]:
        """This rank's part of the optimizer's state, by the names of the parameters."""
        names = self.names(model, optimizer)
        return {names[i]: value for i, value in optimizer.state_dict()["state"].items()}

    def gathered(
        self, model: nn.Module, moments: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """The whole of the optimizer's state, from every rank's part."""
        return moments

    def part(self, name: str, moments: dict[str, Any]) -> dict[str, Any]:
        """This rank's part of one parameter's state: the inverse of `gathered`."""
        return moments

    def names(self, model: nn.Module, optimizer: Optimizer) -> dict[int, str]:
        """The optimizer's number of each parameter → its name in the recipe's model."""
        names = {id(parameter): name for name, parameter in self.parameters(model).items()}
        parameters = (p for group in optimizer.param_groups for p in group["params"])
        return {i: names[id(parameter)] for i, parameter in enumerate(parameters)}


def moment(key: str, value: Any) -> bool:
    """Whether that part of an optimizer's state is as its parameter is."""
    return key != STEP and isinstance(value, Tensor)


def _laid(state: dict[str, Any], like: Tensor) -> dict[str, Any]:
    """The same, with moments that lie in memory as the parameter does: checkpoints keep them row by
    row, and torch's fused optimizers walk through both without comparing."""
    return {
        key: torch.empty_like(like).copy_(value)
        if moment(key, value) and value.shape == like.shape
        else value
        for key, value in state.items()
    }
