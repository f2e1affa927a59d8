"""A step's losses, which every rank adds up while backward computes.

    losses = Losses(world)
    losses.take(loss, last=True)      # after a micro-batch's forward pass, before its backward
    losses.sum()                      # of all ranks and micro-batches, once the gradients are there

They are known before backward, and arrive while it computes: nobody waits for so small a message.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from turnaround.engine.layouts.carrier import Carrier
from turnaround.engine.metrics import Mean
from turnaround.engine.world import World

NOTHING = (-0.0, -0.0)  # as a beginning; 0.0 would take the sign of a sum that is -0.0


class Losses:
    """Of one step after another; all ranks of `world` take equally many."""

    def __init__(self, world: World, carrier: Carrier | None = None) -> None:
        self._world = world
        self._send = carrier.send if carrier else None  # another way than by a message
        self._tell = carrier.tell if carrier else None
        self._values: Tensor | None = None  # of the micro-batches so far, on a device
        self._pair = NOTHING  # the same on the host, as plain numbers
        self._sum: Callable[[], Mean] | None = None

    def take(self, loss: Mean, last: bool, copies: int = 1) -> None:
        """One more, of which so many ranks have the same; the step's `last` sends all of them."""
        if loss.sum.is_cpu:
            self._note(loss.pair, last, copies)
            return
        values = loss.values if copies == 1 else loss.values / copies
        self._values = values if self._values is None else self._values + values
        if last:
            arrived, self._values = self._world.adding(self._values, self._send), None
            self._sum = lambda: Mean(arrived())

    def _note(self, pair: tuple[float, float], last: bool, copies: int) -> None:
        total, count = self._pair
        self._pair = total + pair[0] / copies, count + pair[1] / copies
        if last:
            arrived, self._pair = self._world.telling(self._pair, self._tell), NOTHING
            self._sum = lambda: Mean.told(*arrived()[:2])

    def sum(self) -> Mean:
        """Of the step; waits for the slowest rank's."""
        assert self._sum is not None  # the last has been taken
        return self._sum()
