"""`layout.sequence`: what lies between the layers that are cut is cut too, along the sequence.

    class LanguageModel(Recipe[Batch]):
        cuts = {"blocks.*.up": "column", "blocks.*.down": "row"}
        stream = "blocks"      # takes (batch, length, width) and gives the same again

Inside, each rank has some of the places: norms, dropout and sums are done once instead of by every
rank, and their activations take that much less memory. Before a column cut the places are gathered,
after a row cut the sums are handed out by place, so as many bytes travel as without (Korthikanti et
al., 2022, arXiv 2205.05198, section 4.2.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    SequenceParallel,
)

from turnaround.errors import ConfigError

PLACES = 1  # of the dims (batch, length, width)
STYLES: dict[str, Callable[[], ParallelStyle]] = {
    "column": lambda: ColwiseParallel(input_layouts=Shard(PLACES)),
    "row": lambda: RowwiseParallel(output_layouts=Shard(PLACES)),
}


def styles(model: nn.Module, stretch: list[str], kinds: dict[str, str]) -> dict[str, ParallelStyle]:
    """How each layer of the stretch is done: those in the table, and all others that learn."""
    found: dict[str, ParallelStyle] = {}
    for top in stretch:
        for name, module in model.get_submodule(top).named_modules(prefix=top):
            if name in kinds:
                found[name] = STYLES[kinds[name]]()
            elif any(True for _ in module.parameters(recurse=False)):
                found[name] = _by_place(name, module)
    if outside := [name for name in kinds if name not in found]:
        message = f"layout.sequence=true: {outside[0]} is in the table of cuts, not in the stream"
        raise ConfigError(message, "layout.sequence=false, or let `stream` name what is around it")
    return found


def _by_place(name: str, module: nn.Module) -> ParallelStyle:
    """What treats each place by itself; its gradients are added up over the ranks."""
    if any(True for _ in module.children()):
        message = f"layout.sequence=true: {name} has parameters beside those of its layers"
        raise ConfigError(message, "put them into a module of their own, or layout.sequence=false")
    return SequenceParallel(sequence_dim=PLACES, use_local_output=True)


def flow(first: nn.Module, last: nn.Module, mesh: DeviceMesh, seed: Callable[..., None]) -> None:
    """Each rank takes its places before `first`, and all have the whole again after `last`.

    What is drawn in between differs by rank: else each part would drop the same places. What is
    drawn after is the same again: all ranks compute it alike, and would else drift apart.
    """
    start = 0  # what the numbers before `first` follow from

    def take(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal start
        whole, *others = inputs
        _even(whole, mesh.size())
        everyone = DTensor.from_local(whole, mesh, [Replicate()], run_check=False)
        part = everyone.redistribute(placements=[Shard(PLACES)]).to_local()
        start = torch.initial_seed()
        seed(start, mesh.get_local_rank())
        return part, *others

    def give(module: nn.Module, inputs: object, part: Tensor) -> Tensor:
        spread = DTensor.from_local(part, mesh, [Shard(PLACES)], run_check=False)
        whole: Tensor = spread.redistribute(placements=[Replicate()]).to_local()
        seed(start, mesh.size())  # the number of no rank
        return whole

    first.register_forward_pre_hook(take)
    last.register_forward_hook(give)


def found(names: Iterable[str], recipe: str) -> list[str]:
    """The stretch of modules that a recipe names; ConfigError when it names none."""
    stretch = list(names)
    if not stretch:
        message = f"layout.sequence=true, and recipe {recipe} names no stream of its model"
        hint = (
            f'write in class {recipe}: stream = "blocks", what takes and gives (batch, length, …)'
        )
        raise ConfigError(message, hint)
    return stretch


def _even(stream: Tensor, degree: int) -> None:
    """Refuse what does not come out even."""
    length = stream.shape[PLACES] if stream.dim() == 3 else 0
    if not length or length % degree:
        shape = tuple(stream.shape)
        message = f"layout.sequence=true cuts (batch, length, width) in {degree}, and got {shape}"
        raise ConfigError(message, "rows of a length that layout.tensor divides")
