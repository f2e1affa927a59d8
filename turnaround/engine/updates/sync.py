"""`update=sync`: all devices add up their gradients, then take the same step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from turnaround.engine.optim import rescale


@dataclass(frozen=True)
class Taken:
    """What is known of a step: numbers still on the device."""

    loss: Tensor  # (sum, count) over the whole batch
    norm: Tensor  # of the mean loss's gradient, before clipping


class Update:
    """One group in step."""

    exact = True  # draws the same loss curve as one device

    def __init__(self, optimizer: Optimizer, clip: float | None) -> None:
        self.optimizer = optimizer
        self._clip = clip
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def step(self, gradients: Callable[[], Tensor], rate: float) -> Taken:
        """Move the parameters once, at that learning rate.

        `gradients` computes those of the whole batch's summed loss and answers its (sum, count); an
        update may call it more than once.
        """
        loss = gradients()
        norm = rescale(self._parameters, loss[1], self._clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return Taken(loss, norm)
