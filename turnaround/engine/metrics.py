"""What is counted while training: sums that add up over batches and devices.

    loss = Mean.of(nll.sum(), targets)     # a sum and its count, never a mean
    total = loss + another                 # over micro-batches, batches, devices
    total.compute()                        # 1.23

So one device and many draw the same curve.
"""

from __future__ import annotations

import functools
import math
from typing import Self

import torch
from torch import Tensor

_WIDE = torch.float64  # of what is added up: fp32 stops counting at 16,777,216


class Tally:
    """A vector of sums, and a `compute` that makes one number of it: of BLEU, F1, perplexity.

    A subclass changes `compute` only: `values` is what travels between devices.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = values  # (n,)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values)

    def wide(self) -> Self:
        """The same in float64 on the host: what the sums over a whole split are made of."""
        return type(self)(self.values.detach().to("cpu", _WIDE))

    def compute(self) -> float:
        """The number that is reported."""
        raise NotImplementedError


class Mean(Tally):
    """A sum and a count: `values` is (sum, count) in float64, without the graph that `sum` has.

    Of one made by `of` the values are put together when they are asked for, and on a CPU the count
    is a plain number: the small tensors that this saves cost 2 to 5 µs each.
    """

    def __init__(self, values: Tensor | None = None, total: Tensor | None = None) -> None:
        if values is not None:
            super().__init__(values)
        self._total = total
        self._count: Tensor | float | None = None  # of one made by `of`
        self._weight: Tensor | None = None

    @classmethod
    def of(cls, total: Tensor | float, count: Tensor | int) -> Self:
        """From a summed quantity and how many were summed; the sum keeps its graph for backward."""
        total = torch.as_tensor(total)
        made = cls(None, total)
        on_host = total.device.type == "cpu"
        made._count = float(count) if on_host else torch.as_tensor(count).to(total.device, _WIDE)
        return made

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values, self.sum + other.sum)

    @functools.cached_property
    def values(self) -> Tensor:  # type: ignore[override]  # of one made from values it is these
        """(2,)."""
        total = self.sum.detach()
        if isinstance(self._count, float):
            return torch.tensor((total.item(), self._count), dtype=_WIDE)
        assert self._count is not None  # else the values were given
        return torch.stack((total.to(_WIDE), self._count))

    @property
    def sum(self) -> Tensor:
        """The summed quantity."""
        return self.values[0] if self._total is None else self._total

    @property
    def count(self) -> Tensor:
        """How many were summed."""
        return self.values[1]

    def backward(self) -> None:
        """Add the gradients of the sum, or of the mean where it is `divided`."""
        torch.autograd.backward(self.sum, self._weight)

    def summed(self) -> Self:
        """As it is."""
        return self

    def divided(self) -> Self:
        """The same, but `backward` gives the gradients of the mean."""
        if isinstance(self._count, float):
            self._weight = torch.tensor(1 / (self._count or math.nan), dtype=self.sum.dtype)
        else:
            count = self.count if self._count is None else self._count
            self._weight = (1 / count).to(self.sum.dtype)
        return self

    def compute(self) -> float:
        """Sum over count; NaN when nothing was counted."""
        total, count = self.values.tolist()
        return total / count if count else float("nan")
