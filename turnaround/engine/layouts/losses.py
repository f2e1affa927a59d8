"""A step's losses, which every rank adds up while backward computes.

    losses = Losses(world)
    losses.take(loss, last=True)      # after a micro-batch's forward pass, before its backward
    losses.sum()                      # of all ranks and micro-batches, once the gradients are there

They are known before backward, and arrive while it computes: nobody waits for so small a message.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from turnaround.engine.metrics import Mean
from turnaround.engine.world import World


class Losses:
    """Of one step after another; all ranks of `world` take equally many."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._values: Tensor | None = None  # of the micro-batches so far
        self._sum: Callable[[], Tensor] | None = None

    def take(self, loss: Mean, last: bool, copies: int = 1) -> None:
        """One more, of which so many ranks have the same; the step's `last` sends all of them."""
        values = loss.values if copies == 1 else loss.values / copies
        self._values = values if self._values is None else self._values + values
        if last:
            self._sum, self._values = self._world.adding(self._values), None

    def sum(self) -> Mean:
        """Of the step; waits for the slowest rank's."""
        assert self._sum is not None  # the last has been taken
        return Mean(self._sum())
