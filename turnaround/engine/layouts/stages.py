"""A model taken apart: what each stage of `layout=pipeline` holds, and what it hands over.

shares = shared_out(recipe.stages(model), 2)       # [[embed, block 0], [block 1, out]]
stage = Stage(shares[0], first=True, last=False)
stage.begin([forward, forward])                    # the micro-batches of a step
stage()                                            # what goes on to the next stage
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from turnaround.engine.layouts.base import Forward
from turnaround.errors import ConfigError, RecipeError


class Handed(Exception):
    """What a recipe's forward pass was left with, before it came to the loss."""

    def __init__(self, what: tuple[Any, ...]) -> None:
        super().__init__("not the end")
        self.what = what


class Stage(nn.Module):
    """Some parts of the model. Called once per micro-batch, it stands in for the model there.

    So the recipe's own forward pass runs on every stage: the first takes its inputs, the last goes
    on to its loss, and the others leave it where they hand over.
    """

    def __init__(self, parts: list[nn.Module], first: bool, last: bool) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.model = Chain(parts, last)
        self.losses: list[Tensor] = []
        self._coming: list[Forward] = []

    def begin(self, held: list[Forward]) -> None:
        """These micro-batches come now."""
        self._coming, self.losses = held[::-1], []

    def forward(self, *received: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the next stage gets; of the last one the loss, (1,)."""
        self.model.received = () if self.first else received
        try:
            loss = self._coming.pop()(self.model)
        except Handed as handed:
            return handed.what if len(handed.what) > 1 else handed.what[0]
        self.losses.append(loss.values)
        return loss.sum.view(1)


class Chain(nn.Module):
    """Parts called one after another, on what was received or else on the model's inputs."""

    def __init__(self, parts: list[nn.Module], last: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.received: tuple[Tensor, ...] = ()
        self._last = last

    def forward(self, *inputs: Any) -> Any:
        """The model's output, or Handed with what goes to the next stage."""
        passed: Any = self.received or inputs
        for part in self.parts:
            passed = part(*passed) if isinstance(passed, tuple) else part(passed)
        if self._last:
            return passed
        raise Handed(tuple(_sendable(t) for t in _tuple(passed)))


class Probe(nn.Module):
    """In place of a model: hands back what it is called with."""

    def forward(self, *inputs: Any) -> Any:
        """Never returns."""
        raise Handed(inputs)


def probe(forward: Forward) -> tuple[Any, ...]:
    """The inputs of one micro-batch."""
    try:
        forward(Probe())
    except Handed as handed:
        return handed.what
    raise RecipeError("the loss did not call the model", "layout=pipeline needs it to, once")


def shared_out(parts: list[nn.Module], stages: int) -> list[list[nn.Module]]:
    """The parts in as many runs of about equal number."""
    if len(parts) < stages:
        found = f"the model's {len(parts)} parts"
        message = f"layout.pipeline={stages} asks for more stages than {found}"
        raise ConfigError(message, f"layout.pipeline={len(parts)}")
    ends = [round(i * len(parts) / stages) for i in range(stages + 1)]
    return [parts[begin:end] for begin, end in itertools.pairwise(ends)]


def owners(model: nn.Module, shares: list[list[nn.Module]]) -> dict[str, int]:
    """Each tensor of the model → its stage."""
    held = [_tensors(parts) for parts in shares]
    found: dict[str, int] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        stages = [i for i, ids in enumerate(held) if id(tensor) in ids]
        if len(stages) != 1:
            how = "no stage" if not stages else "stages " + " and ".join(map(str, stages))
            message = f"layout=pipeline: {name} belongs to {how}"
            raise ConfigError(message, "stages(model) must share out the whole model, untied")
        found[name] = stages[0]
    return found


@torch.no_grad()
def boundaries(forward: Forward, shares: list[list[nn.Module]]) -> list[tuple[Tensor, ...]]:
    """What goes from stage to stage, without content: the shapes of one micro-batch."""
    found: list[tuple[Tensor, ...]] = []
    passed = tuple(t.to("meta") if isinstance(t, Tensor) else t for t in probe(forward))
    for parts in shares[:-1]:
        passed = _through(forward, parts, passed)
        found.append(
            tuple(torch.empty_like(t, requires_grad=t.is_floating_point()) for t in passed)
        )
    return found


def _through(
    forward: Forward, parts: list[nn.Module], passed: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    chain = Chain(parts, last=False)
    chain.received = passed
    try:
        forward(chain)
    except Handed as handed:
        return handed.what
    raise AssertionError("a chain that is not the last hands over")


def _tensors(parts: list[nn.Module]) -> set[int]:
    """The identities of all that they keep."""
    return {id(t) for part in parts for t in part.state_dict(keep_vars=True).values()}


def _sendable(tensor: Tensor) -> Tensor:
    """In the type of the parameters: the meta device, where shapes are found, has no autocast."""
    kind = torch.get_default_dtype() if tensor.is_floating_point() else tensor.dtype
    return tensor.to(kind).contiguous()


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
