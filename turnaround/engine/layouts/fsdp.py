"""`layout=fsdp`: each rank reads its share of the batch and keeps a part of every parameter.

Torch's `fully_shard` (ZeRO's third stage: Rajbhandari et al., 2020) brings the parts of a block
together just before it is used and lets them go after; gradients are added up part by part.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard

from turnaround import spec
from turnaround.engine import noise
from turnaround.engine.layouts import base, blocks
from turnaround.engine.layouts.parted import Parted
from turnaround.engine.metrics import Mean
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World

# Its newer name; torch 2.13 warns at each use of the older one.
GATHER = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor


class Layout(Parted):
    """Parameters in parts over `shard` ranks; `replicate` such groups add up their gradients."""

    def __init__(self, world: World, settings: spec.Layout) -> None:
        super().__init__(world, settings)
        self._gathers, self._scatters = Timed(GATHER), Timed(scattered)

    @classmethod
    def portion(cls, model: nn.Module, recipe: Recipe[Any], settings: spec.Layout) -> int:
        """A part of all of them."""
        return math.ceil(super().portion(model, recipe, settings) / (settings.shard or 1))

    def cut(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model, whose parameters are now in parts."""
        blocks.tune(model, self.settings)
        return self.shard(model)

    def shard(self, model: nn.Module) -> nn.Module:
        """Cut each block's parameters by itself, then what is left."""
        axes = ("replicate", "shard") if self.grid.size("replicate") > 1 else ("shard",)
        mesh = self.grid.mesh[axes]
        for block in [*(block for _, block in blocks.of(model)), model]:
            block.register_forward_hook(_no_view)
            sharded = fully_shard(block, mesh=mesh)
            # Sums, not means, so that the loop can divide by its own count; and gloo has no other.
            sharded.set_gradient_divide_factor(1.0)
            sharded.set_force_sum_reduction_for_comms(True)
            if self.world.device.type == "cpu":
                sharded.set_custom_all_gather(self._gathers)  # type: ignore[arg-type]  # its type is private
                sharded.set_custom_reduce_scatter(self._scatters)  # type: ignore[arg-type]  # likewise
        return model

    def hears(self, pieces: int, size: int) -> list[int] | None:
        """Each rank's own, of all its pieces; not where parts of layers are cut as well."""
        readers = self.grid.readers.size
        if readers == 1:
            return super().hears(pieces, size)
        heard = self.grid.size("tensor") == 1 and self.world.device.type == "cpu"
        return [len(range(r, size, readers)) for r in range(readers)] if heard else None

    @contextlib.contextmanager
    def listening(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Gradients are heard before they are added up part by part."""
        if self.grid.readers.size == 1:
            with super().listening(model) as squares:
                yield squares
            return
        own: list[Tensor] = []
        self._scatters.hear = lambda whole: own.append(noise.square(whole) / self.world.size)
        try:
            yield own
        finally:
            self._scatters.hear = noise.unheard

    def gradients(self, model: nn.Module, forward: base.Forward, last: bool) -> Mean:
        """Add the gradients of one micro-batch; the last one's backward also adds up the ranks'."""
        before = self._gathers.seconds + self._scatters.seconds
        if isinstance(model, FSDPModule):
            model.set_requires_gradient_sync(last)
        loss = forward(model)
        self.losses.take(loss, last, copies=self.grid.size("tensor"))
        loss.backward()
        if last:
            self.hand_over()
        self.exposed = self._gathers.seconds + self._scatters.seconds - before
        return loss


def scattered(
    output_tensor: Tensor, input_tensor: Tensor, group: dist.ProcessGroup, **how: Any
) -> None:
    """The sum of every rank's part for this one: each part goes straight to who adds it up.

    With gloo that takes 0.6 of the processor time of its own `reduce_scatter`.
    """
    parts = torch.empty_like(input_tensor)
    dist.all_to_all_single(parts, input_tensor, group=group)
    torch.sum(parts.view(group.size(), -1), 0, out=output_tensor)


class Timed:
    """Messages of `fully_shard` on a CPU: it waits for each, and all that time computes nothing.

    What `replicate` groups add up is not among them. On a GPU messages overlap, and none are timed.
    """

    def __init__(self, send: Callable[..., Any]) -> None:
        self.seconds = 0.0
        self.hear: Callable[[Tensor], None] = noise.unheard  # what is to be sent
        self._send = send

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Room for a message."""
        return torch.empty(size, dtype=dtype, device=device)

    def __call__(self, output_tensor: Tensor, input_tensor: Tensor, **how: Any) -> Any:
        """Send it; torch waits here, unless it asked to do so later."""
        self.hear(input_tensor)
        begin = time.perf_counter()
        work = self._send(output_tensor, input_tensor, **how)
        self.seconds += time.perf_counter() - begin
        return work


def _no_view(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Copies of what are views: after `view += 1` torch would not bring a block's parts together
    for its backward, and gradients would be wrong without a word."""
    if isinstance(output, Tensor):
        return output.clone() if output._is_view() else output
    if isinstance(output, tuple):
        parts = [_no_view(module, inputs, part) for part in output]
        return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
    return output
