"""What layouts share whose ranks each hold a part of the parameters.

    class Layout(Parted):
        def cut(self, model, recipe): ...     # what differs: who holds what

The optimizer moves this rank's parts as plain tensors, which are views of torch's distributed
ones: it needs no rules for those, and no time for them. What is the same under every layout is
the whole: scores, checkpoints and the norm of the gradients gather it.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Replicate

from turnaround import spec
from turnaround.engine import noise
from turnaround.engine.layouts import base
from turnaround.engine.layouts.grid import Grid
from turnaround.engine.layouts.losses import Losses
from turnaround.engine.metrics import Mean
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World


class Parted(base.Layout):
    """Each rank holds a part."""

    by_rows = ()  # torch cuts up dense gradients only

    def __init__(self, world: World, settings: spec.Layout) -> None:
        super().__init__(world, settings)
        self.grid = Grid(world, settings)
        self._outline = nn.Module()  # the recipe's model without its parameters
        self._spread: dict[str, nn.Parameter] = {}  # what torch keeps, by name
        self._mine: dict[str, nn.Parameter] = {}  # what the optimizer moves, by name
        self._shares = torch.zeros(0)  # of the norm's square: one over the number of copies
        self.losses = Losses(world)

    def wrap(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model as it is called while training; rank 0's parameters are everyone's."""
        self.admit(model, self.settings, self.world.device.type)
        model = model.to(self.world.device)
        self.world.align((*model.parameters(), *model.buffers()))
        self._outline = outline(model)
        model = self.cut(model, recipe)
        self._spread = self.held(model)
        self._mine = {name: _local(p) for name, p in self._spread.items()}
        shares = [self._share(p) for p in self._spread.values()]
        self._shares = torch.tensor(shares, dtype=torch.float64, device=self.world.device)
        return model

    def cut(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The part of the model that this rank calls."""
        raise NotImplementedError

    def held(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The parameters of a cut model, by their names in the recipe's."""
        return dict(model.named_parameters())

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        """The parameters and buffers of a cut model, by their names in the recipe's."""
        state: dict[str, Tensor] = model.state_dict()
        return state

    def parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """This rank's parts, as plain tensors."""
        return self._mine

    def running(self, model: nn.Module) -> list[Tensor]:
        """Buffers that training moves, as plain tensors."""
        return [_plain(buffer) for buffer in super().running(model)]

    def reader(self) -> tuple[int, int]:
        """Ranks that hold parts of one replica's layers read the same."""
        return self.grid.readers.rank, self.grid.readers.size

    def hears(self, pieces: int, size: int) -> list[int] | None:
        """Each reader's first micro-batch."""
        readers = self.grid.readers.size
        count = pieces * readers
        return [len(range(r, size, count)) for r in range(readers)] if count > 1 else None

    @contextlib.contextmanager
    def listening(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Each rank hears its parts, and what several hold counts once."""
        learnt = {name: p for name, p in self._spread.items() if p.requires_grad}
        shares = [
            share
            for p, share in zip(self._spread.values(), self._shares.tolist(), strict=True)
            if p.requires_grad
        ]
        with noise.firsts(learnt.values(), _local_gradient) as squares:
            yield squares
        squares[:] = [found * share for found, share in zip(squares, shares, strict=True)]

    @torch.no_grad()
    def hand_over(self) -> None:
        """Give torch's distributed gradients to the optimizer, as plain tensors."""
        for name, mine in self._mine.items():
            spread = self._spread[name]
            if mine is not spread:
                mine.grad, spread.grad = _lying_as(mine, _local_gradient(spread)), None

    def sum(self, loss: Mean) -> Mean:
        """The sum over all that read different examples."""
        return self.losses.sum()

    def norm(self, gradients: list[Tensor]) -> Tensor:
        """The global norm: a message, and a pass over the gradients."""
        return self.world.sum(self._square()[None])[0].sqrt()

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have."""
        return self.grid.readers.total(sums)

    @torch.no_grad()
    def whole(self, model: nn.Module) -> nn.Module:
        """A copy of the recipe's model with what every rank holds."""
        whole = copy.deepcopy(self._outline)
        whole.load_state_dict(dict(self.collected(model)), assign=True)
        return whole

    @torch.no_grad()
    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """The state_dict of the recipe's model, on the host: no device need have room for it."""
        return {name: tensor.cpu() for name, tensor in self.collected(model)}

    def collected(self, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Names and whole tensors of the recipe's model, one after another."""
        self.world.align(self.running(model))
        for name, tensor in self.tensors(model).items():
            yield name, _full(tensor)

    @torch.no_grad()
    def load_weights(self, model: nn.Module, weights: dict[str, Tensor]) -> None:
        """The inverse of `weights`."""
        copy.deepcopy(self._outline).load_state_dict(weights, assign=True)  # does it fit?
        for name, tensor in self.tensors(model).items():
            _plain(tensor).copy_(_cut_like(weights[name], tensor))

    @torch.no_grad()
    def gathered(
        self, model: nn.Module, moments: dict[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """The whole of the optimizer's state, from every rank's part."""
        return {name: self._gather(self._spread[name], mine) for name, mine in moments.items()}

    @torch.no_grad()
    def part(self, name: str, moments: dict[str, Any]) -> dict[str, Any]:
        """This rank's part of one parameter's state."""
        like = self._spread[name]
        return {
            key: _cut_like(value, like) if base.moment(key, value) else value
            for key, value in moments.items()
        }

    def _gather(self, like: Tensor, moments: dict[str, Any]) -> dict[str, Any]:
        return {
            key: _full(_as(value, like)).cpu() if base.moment(key, value) else value
            for key, value in moments.items()
        }

    def _square(self) -> Tensor:
        """This rank's share of the gradients' squared norm."""
        found = [(i, p.grad) for i, p in enumerate(self._mine.values()) if p.grad is not None]
        if not found:  # a stage of frozen layers
            return torch.zeros((), dtype=torch.float64, device=self.world.device)
        norms = torch._foreach_norm([gradient for _, gradient in found])
        everyone = len(found) == len(self._mine)  # as a rule, and then nothing is to be picked
        shares = self._shares if everyone else self._shares[[i for i, _ in found]]
        square: Tensor = torch.stack(norms).double().square() @ shares
        return square

    def _share(self, parameter: nn.Parameter) -> float:
        """One over the number of ranks that hold the same part."""
        copies = self.world.size // self.grid.size("pipeline")
        if isinstance(parameter, DTensor):
            mesh, placements = parameter.device_mesh, parameter.placements
            cuts = [mesh.size(i) for i, p in enumerate(placements) if not p.is_replicate()]
            return math.prod(cuts) / copies
        return 1 / copies


def outline(model: nn.Module) -> nn.Module:
    """A copy with the shapes of the parameters and without their content."""
    empty = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in model.parameters()
    }
    return copy.deepcopy(model, empty)


def _local(parameter: nn.Parameter) -> nn.Parameter:
    """This rank's part as a plain parameter, in the same memory."""
    if not isinstance(parameter, DTensor):
        return parameter
    return nn.Parameter(parameter.to_local().detach(), parameter.requires_grad)


def _plain(tensor: Tensor) -> Tensor:
    """This rank's part, in the same memory."""
    local: Tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return local


def _local_gradient(parameter: nn.Parameter) -> Tensor | None:
    gradient = parameter.grad
    if not isinstance(gradient, DTensor) or not isinstance(parameter, DTensor):
        return gradient
    if gradient.placements != parameter.placements:  # sums of which each rank has a part
        gradient = gradient.redistribute(placements=parameter.placements)
    local: Tensor = gradient.to_local()
    return local


def _lying_as(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """The gradient, in memory as its parameter is: fused optimizers walk both without comparing."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    if gradient.is_contiguous() and parameter.is_contiguous():  # strides of sides of 1 may differ
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _full(tensor: Tensor) -> Tensor:
    """All of a distributed tensor; every rank that shares it calls this."""
    if not isinstance(tensor, DTensor):
        return tensor
    logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
    whole: Tensor = tensor.full_tensor()  # that two cuts take two messages is known, and no news
    return whole


def _as(part: Tensor, like: Tensor) -> Tensor:
    """A plain part as what it is a part of, distributed as `like` is."""
    if not isinstance(like, DTensor):
        return part
    mesh, shape, stride = like.device_mesh, like.shape, like.stride()
    return DTensor.from_local(
        part, mesh, like.placements, run_check=False, shape=shape, stride=stride
    )


def _cut_like(whole: Tensor, like: Tensor) -> Tensor:
    """This rank's part of what every rank has the whole of, cut as `like` is."""
    whole = whole.to(like.device)
    if not isinstance(like, DTensor):
        return whole
    mesh = like.device_mesh
    same = DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
    part: Tensor = same.redistribute(placements=like.placements).to_local()
    return part
