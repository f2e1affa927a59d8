"""`layout=ddp`: a replica on each device reads its share of the batch; gradients are added up.

Torch's DistributedDataParallel does the adding, bucket by bucket while backward still runs. It
makes a mean over the ranks as it fills its buckets, so each rank's loss counts as many times. The
step's loss travels in the first of the buckets.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from turnaround import spec
from turnaround.engine import noise
from turnaround.engine.layouts import base
from turnaround.engine.layouts.carrier import Carrier
from turnaround.engine.layouts.losses import Losses
from turnaround.engine.metrics import Mean
from turnaround.engine.optim import sparse
from turnaround.engine.recipe import Recipe
from turnaround.engine.world import World

# MiB. On a GPU torch sends the first one when it has 1, to overlap sooner; on a CPU that message
# takes more of the cores that compute than it hides: steps of 21 ms become 2 % shorter without it.
BUCKET = 25


class Layout(base.Layout):
    """One replica per device."""

    by_rows = ("cpu",)  # NCCL has no sums of sparse tensors

    _ready = 0.0  # when the last backward pass had nothing left to do but to wait

    def __init__(self, world: World, settings: spec.Layout) -> None:
        super().__init__(world, settings)
        self._losses = Losses(world)
        self._loads: list[tuple[Tensor, Tensor]] = []  # what travels beside the gradients
        self._times = float(world.size)  # one where `reduce` adds up in torch's place
        self._bytes = 0  # of the gradients, where torch adds up

    def wrap(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model as it is called while training; rank 0's parameters are everyone's."""
        carrier = Carrier(super().wrap(model, recipe), self.world)
        carrier.parameter.register_hook(self._began)  # type: ignore[no-untyped-call]  # torch types it so
        wrapped = DistributedDataParallel(
            carrier,
            process_group=self.world.group,
            gradient_as_bucket_view=True,
            bucket_cap_mb=None if self.world.device.type == "cuda" else BUCKET,
        )
        self._losses, self._loads = Losses(self.world, carrier), [carrier.load]
        self._bytes = sum(p.nbytes for p in wrapped.parameters() if p.requires_grad)
        if sparse(model):
            self._take_over(wrapped)  # how many rows travel is known then
        return wrapped

    def compress(self, kind: torch.dtype, model: nn.Module) -> None:
        """Send gradients in numbers of that type."""
        super().compress(kind, model)
        self._take_over(model)

    def whole(self, model: nn.Module) -> nn.Module:
        """The model as the recipe wrote it, with rank 0's running buffers."""
        replica = _replica(model)
        self.world.align(self.running(replica))
        return replica

    def parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """What the optimizer moves; any rank may ask, at any time."""
        return dict(_replica(model).named_parameters())

    def reader(self) -> tuple[int, int]:
        """Each rank reads its share of every batch."""
        return self.world.rank, self.world.size

    def gradients(self, model: nn.Module, forward: base.Forward, last: bool) -> Mean:
        """Add the gradients of one micro-batch; the last one's backward also adds up the ranks'."""
        assert isinstance(model, DistributedDataParallel)  # `wrap` made it
        with contextlib.nullcontext() if last else model.no_sync():
            loss = forward(model)
            self._losses.take(loss, last)
            loss.backward(self._times, *(self._loads if last else ()))
        self.exposed = time.perf_counter() - self._ready if last else 0.0
        self.reduce.bytes += self._bytes if last else 0
        return loss

    def hears(self, pieces: int, size: int) -> list[int] | None:
        """Each rank's own, of all its pieces."""
        return [len(range(rank, size, self.world.size)) for rank in range(self.world.size)]

    @contextlib.contextmanager
    def listening(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Gradients are heard before they are added up; those of the last piece are of all."""
        learnt = [p for p in self.parameters(model).values() if p.requires_grad]
        found: dict[int, Tensor] = {}  # norms

        def hear(place: int, gradient: Tensor) -> None:
            before = learnt[place].grad
            found[place] = noise.norm(gradient if before is None else before + gradient)

        hooks = [p.register_hook(functools.partial(hear, i)) for i, p in enumerate(learnt)]  # type: ignore[no-untyped-call]  # torch types it so
        squares: list[Tensor] = []
        try:
            yield squares
        finally:
            for hook in hooks:
                hook.remove()
        share = self._times**2 * self.world.size
        norms = [norm for _, norm in sorted(found.items())]
        squares.append(torch.stack(norms).square() / share)  # a few operations, not some for each

    def sum(self, loss: Mean) -> Mean:
        """The sum over ranks."""
        return self._losses.sum()

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have."""
        return self.world.total(sums)

    def _take_over(self, model: nn.Module) -> None:
        """Let `reduce` add up: Python between the buckets, and in the threads that carry them.

        What it does to a bucket may hang on the largest number, so the carrier stays empty.
        """
        assert isinstance(model, DistributedDataParallel)  # `wrap` made it
        if self._times != 1:
            self._times, self._bytes, self._losses = 1.0, 0, Losses(self.world)
            model.register_comm_hook(self, lambda layout, bucket: layout.reduce(bucket.buffer()))

    def _began(self, gradient: Tensor) -> None:
        """The last backward pass of a step begins, with the carrier: what is left when all is
        computed comes after `_done`, which is asked for before DDP asks to wait."""
        engine = torch.autograd.Variable._execution_engine
        engine.queue_callback(self._done)

    def _done(self) -> None:
        self._ready = time.perf_counter()


def _replica(model: nn.Module) -> nn.Module:
    return model.get_submodule("module.module")
