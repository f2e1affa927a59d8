"""`update=sync`: all devices add up their gradients, then take the same step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.optim import Optimizer

from turnaround.engine.optim import rescale

Gradients = Callable[[], Tensor]  # of the whole batch's summed loss, into .grad; its (sum, count)
Seen = Callable[[Tensor, Tensor], None]  # hears of loss and gradient norm before anything moves


class Update:
    """One group in step."""

    exact = True  # draws the same loss curve as one device

    def __init__(self, optimizer: Optimizer, clip: float | None) -> None:
        self.optimizer = optimizer
        self._clip = clip
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move the parameters once, at that learning rate; another update may ask more often."""
        loss = gradients()
        norm = rescale(self._parameters, loss[1], self._clip)
        seen(loss, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
