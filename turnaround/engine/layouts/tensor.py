"""`layout=tensor`: the work of each layer in parts, along the recipe's table of cuts.

    cuts = {"blocks.*.up": "column", "blocks.*.down": "row"}     # in the recipe

A column cut gives each rank some of a linear layer's outputs, a row cut some of the next one's
inputs; one sum after the row makes the result whole (Shoeybi et al., 2019: Megatron). All else is
done by every rank alike, or with `layout.sequence` in parts too (`stream.py`). Over `shard` and
`replicate`, parameters and batches are cut as by `hsdp`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)

from turnaround import spec
from turnaround.engine.layouts import blocks, fsdp, stream
from turnaround.engine.recipe import Recipe
from turnaround.errors import ConfigError, near

STYLES: dict[str, type[ColwiseParallel | RowwiseParallel]] = {
    "column": ColwiseParallel,
    "row": RowwiseParallel,
}


class Layout(fsdp.Layout):
    """Groups of `tensor` ranks, each with its part of the layers in the table."""

    @classmethod
    def portion(cls, model: nn.Module, recipe: Recipe[Any], settings: spec.Layout) -> int:
        """Those in the table are cut by `tensor`, and all of them by `shard`."""
        degree = settings.tensor or 1
        kinds = checked(recipe, model, degree)
        if settings.sequence:
            stream.styles(model, stretched(recipe, model), kinds)
        layers = ((model.get_submodule(name), kind) for name, kind in kinds.items())
        held = (
            p
            for layer, kind in layers
            for p in layer.parameters()
            if kind == "column" or p.dim() > 1
        )
        cut = sum(parameter.numel() for parameter in held)  # but for a bias of what rows add up to
        elsewhere = cut * (degree - 1) / degree / (settings.shard or 1)
        return math.ceil(super().portion(model, recipe, settings) - elsewhere)

    def cut(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model, whose layers in the table are now in parts."""
        degree = self.grid.size("tensor")
        kinds = checked(recipe, model, degree)
        for holder in _holders_of_heads(model, kinds):
            holder.heads //= degree
        styles: dict[str, ParallelStyle] = {name: STYLES[kind]() for name, kind in kinds.items()}
        if self.settings.sequence:
            styles = self._streaming(model, recipe, kinds)
        # Every rank holds the whole by now, so each takes its part of its own (src_data_rank).
        parallelize_module(model, self.grid.mesh["tensor"], styles, src_data_rank=None)
        blocks.tune(model, self.settings)
        return self.shard(model) if self.grid.readers.size > 1 else model

    def _streaming(
        self, model: nn.Module, recipe: Recipe[Any], kinds: dict[str, str]
    ) -> dict[str, ParallelStyle]:
        """How each layer is done when what lies between the cut ones is in parts as well."""
        stretch = stretched(recipe, model)
        first, last = (model.get_submodule(stretch[end]) for end in (0, -1))
        stream.flow(first, last, self.grid.mesh["tensor"], self.world.seed)
        return stream.styles(model, stretch, kinds)


def checked(recipe: Recipe[Any], model: nn.Module, degree: int) -> dict[str, str]:
    """The layers that are cut, and how; ConfigError where one does not come out even."""
    kinds = dict(resolve(recipe, model))
    for name, kind in kinds.items():
        check(model, name, kind, degree)
    return kinds


def resolve(recipe: Recipe[Any], model: nn.Module) -> Iterator[tuple[str, str]]:
    """The names of the layers that are cut, and how."""
    kind = type(recipe).__name__
    linear = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not recipe.cuts:
        found = f"; its linear layers are {', '.join(linear)}" if linear else ""
        raise ConfigError(
            f"layout=tensor needs to know where to cut, and recipe {kind} has no table{found}",
            f'write in class {kind}: cuts = {{"blocks.*.up": "column", "blocks.*.down": "row"}}',
        )
    names = _names(model)
    for pattern, cut in recipe.cuts.items():
        if cut not in STYLES:
            raise ConfigError(f'cuts of {kind}: "{cut}" for {pattern}', "say column or row")
        layers = matching(pattern, names)
        if not layers:
            message = f"cuts of {kind}: no layer is called {pattern}"
            raise ConfigError(message, near(pattern, linear))
        yield from ((name, cut) for name in layers)


def stretched(recipe: Recipe[Any], model: nn.Module) -> list[str]:
    """The names of the modules between which the stream flows in parts."""
    return stream.found(matching(recipe.stream, _names(model)), type(recipe).__name__)


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Which of the names those are; a star stands for one part of a name."""
    words = re.compile(re.escape(pattern).replace(r"\*", r"[^.]+"))
    return [name for name in names if name and words.fullmatch(name)]


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules()]


def check(model: nn.Module, name: str, kind: str, degree: int) -> None:
    """Refuse what does not come out even."""
    layer = model.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        message = f"cuts: {name} is a {type(layer).__name__}"
        raise ConfigError(message, "only an nn.Linear can be cut by column or row")
    width = layer.out_features if kind == "column" else layer.in_features
    side = "outputs" if kind == "column" else "inputs"
    _divide(degree, width, f"{side} of {name}")
    for holder in _holders_of_heads(model, {name: kind}):
        _divide(degree, holder.heads, f"heads around {name}")


def _divide(degree: int, count: int, what: str) -> None:
    if count % degree:
        fits = [n for n in range(1, degree + 1) if count % n == 0]
        message = f"layout.tensor={degree} does not divide the {count} {what}"
        raise ConfigError(message, f"layout.tensor={fits[-1]}")


def _holders_of_heads(model: nn.Module, kinds: Mapping[str, str]) -> list[Any]:
    """The innermost modules around the cut layers that count attention heads, each once."""
    found: dict[int, nn.Module] = {}
    for name in kinds:
        around = name
        while "." in around:
            around = around.rpartition(".")[0]
            holder = model.get_submodule(around)
            if isinstance(getattr(holder, "heads", None), int):
                found[id(holder)] = holder
                break
    return list(found.values())
