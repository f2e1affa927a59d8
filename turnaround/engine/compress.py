"""Gradients on their way to other ranks: added up as they are, or in fewer bits.

    layout.reduce = Compressed(torch.bfloat16, world)
    work = layout.reduce(bucket)          # a future of the bucket's sum over the ranks

Torch's own hook for bf16 refuses gradients on a CPU, and its hook for fp16 divides by the number of
ranks first: that suits means. Ours are sums, which may be larger than fp16 can hold.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from turnaround.engine.world import World

KINDS = {"fp16": torch.float16, "bf16": torch.bfloat16}
ROOM = 0.5  # of the largest number that fp16 can hold: sums stay below it


class Reduce:
    """The sum over ranks, bit for bit what it is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bytes = 0  # handed to the network by this rank; a ring moves nearly twice as many

    def __call__(self, bucket: Tensor) -> torch.futures.Future[Any]:
        """A future of the sum of every rank's `bucket`, which holds it then."""
        added: torch.futures.Future[Any] = self.add(bucket).then(_first)
        return added

    def add(self, values: Tensor) -> torch.futures.Future[Any]:
        """On their way."""
        self.bytes += filled(values).nbytes
        work = dist.all_reduce(values, group=self.world.group, async_op=True)
        assert work is not None  # it is None for ranks outside of the group only
        on_the_way: torch.futures.Future[Any] = work.get_future()
        return on_the_way


class Compressed(Reduce):
    """The sum over ranks of what is left of the numbers in 16 bits.

    Rows of a table stay as they are where that would be fp16: torch adds up no sparse ones.
    """

    def __init__(self, kind: torch.dtype, world: World) -> None:
        super().__init__(world)
        self._kind = kind

    def __call__(self, bucket: Tensor) -> torch.futures.Future[Any]:
        """A future of the sum of every rank's `bucket`, which holds it then."""
        if bucket.is_sparse and self._kind is torch.float16:
            return super().__call__(bucket)
        scale = self._scale(bucket)
        sent = (bucket if scale is None else bucket * scale).to(self._kind)

        def widened(done: torch.futures.Future[list[Tensor]]) -> Tensor:
            bucket.copy_(done.value()[0])
            return bucket if scale is None else bucket.div_(scale)

        added: torch.futures.Future[Any] = self.add(sent).then(widened)
        return added

    def _scale(self, bucket: Tensor) -> Tensor | None:
        """A power of two, the same on all ranks, that brings the sum into fp16; bf16 needs none."""
        if self._kind is not torch.float16:
            return None
        largest = bucket.abs().amax().nan_to_num(posinf=0.0)
        dist.all_reduce(largest, dist.ReduceOp.MAX, group=self.world.group)
        room = ROOM * torch.finfo(self._kind).max / self.world.size
        return torch.exp2(torch.floor(torch.log2(room / largest.clamp(min=1e-30))))


def filled(values: Tensor) -> Tensor:
    """The numbers of a tensor: all, or those of the rows that a sparse one holds."""
    return values.coalesce().values() if values.is_sparse else values


def _first(done: torch.futures.Future[list[Tensor]]) -> Tensor:
    return done.value()[0]
