"""`layout=ddp`: a replica on each device reads its share of the batch; gradients are added up.

Torch's DistributedDataParallel does the adding, bucket by bucket while backward still runs.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from turnaround.engine.layouts import base


class Layout(base.Layout):
    """One replica per device."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as it is called while training; rank 0's parameters are everyone's."""
        return DistributedDataParallel(super().wrap(model), gradient_as_bucket_view=True)

    def whole(self, model: nn.Module) -> nn.Module:
        """The model as the recipe wrote it."""
        return model.get_submodule("module")

    def reader(self) -> tuple[int, int]:
        """Each rank reads its share of every batch."""
        return self.world.rank, self.world.size

    def gradients(self, model: nn.Module, forward: base.Forward, last: bool) -> Tensor:
        """Add the gradients of one micro-batch; the last one's backward also adds up the ranks'."""
        assert isinstance(model, DistributedDataParallel)  # `wrap` made it
        with contextlib.nullcontext() if last else model.no_sync():
            loss = forward(model)
            torch.autograd.backward(loss.sum * self.world.size)  # torch will divide by it
        return loss.values

    def sum(self, values: Tensor) -> Tensor:
        """The sum over ranks."""
        return self.world.sum(values)

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same for named sums that not every rank may have."""
        return self.world.total(sums)
