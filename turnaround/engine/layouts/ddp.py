"""`layout=ddp`: a replica on each device reads its share of the batch; gradients are added up.

Torch's DistributedDataParallel does the adding, bucket by bucket while backward still runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from turnaround.engine import noise
from turnaround.engine.layouts import base
from turnaround.engine.metrics import Mean
from turnaround.engine.recipe import Recipe


class Layout(base.Layout):
    """One replica per device."""

    _ear: Callable[[Tensor], None] = staticmethod(noise.unheard)
    _ready = 0.0  # when the last gradients were on their way to the other ranks

    def wrap(self, model: nn.Module, recipe: Recipe[Any]) -> nn.Module:
        """The model as it is called while training; rank 0's parameters are everyone's."""
        wrapped = DistributedDataParallel(
            super().wrap(model, recipe),
            process_group=self.world.group,
            gradient_as_bucket_view=True,
        )
        wrapped.register_comm_hook(self, lambda layout, bucket: layout.add_up(bucket))
        return wrapped

    def whole(self, model: nn.Module) -> nn.Module:
        """The model as the recipe wrote it."""
        return model.get_submodule("module")

    def reader(self) -> tuple[int, int]:
        """Each rank reads its share of every batch."""
        return self.world.rank, self.world.size

    def gradients(self, model: nn.Module, forward: base.Forward, last: bool) -> Mean:
        """Add the gradients of one micro-batch; the last one's backward also adds up the ranks'."""
        assert isinstance(model, DistributedDataParallel)  # `wrap` made it
        with contextlib.nullcontext() if last else model.no_sync():
            loss = forward(model)
            loss.backward()
        self.exposed = time.perf_counter() - self._ready if last else 0.0
        return loss

    def hears(self, pieces: int) -> float | None:
        """Each rank's own, of all its pieces."""
        return 1 / self.world.size

    @contextlib.contextmanager
    def listening(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Buckets are heard before they are added up."""
        squares: list[Tensor] = []
        self._ear = lambda own: squares.append(noise.square(own) / self.world.size)
        try:
            yield squares
        finally:
            self._ear = noise.unheard

    def add_up(self, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]  # torch's types lack it
        """The sum over ranks. Once the last bucket is on its way, all that is left is to wait."""
        self._ear(bucket.buffer())
        added = self.reduce(bucket.buffer())
        self._ready = time.perf_counter()
        return added

    def sum(self, loss: Mean) -> Mean:
        """The sum over ranks."""
        return Mean(self.world.sum(loss.values))

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have."""
        return self.world.total(sums)
