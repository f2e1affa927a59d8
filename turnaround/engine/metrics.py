"""What is counted while training: sums that add up over batches and devices.

    loss = Mean.of(nll.sum(), targets)     # a sum and its count, never a mean
    total = loss + another                 # over micro-batches, batches, devices
    total.compute()                        # 1.23

So one device and many draw the same curve.
"""

from __future__ import annotations

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
    """A sum and a count: `values` is (sum, count) in float64, without the graph that `sum` has."""

    def __init__(self, values: Tensor, total: Tensor | None = None) -> None:
        super().__init__(values)
        self._total = total

    @classmethod
    def of(cls, total: Tensor | float, count: Tensor | int) -> Self:
        """From a summed quantity and how many were summed; the sum keeps its graph for backward."""
        total = torch.as_tensor(total)
        number = count if isinstance(count, Tensor) else total.new_full((), count, dtype=_WIDE)
        return cls(torch.stack((total.detach().to(_WIDE), number.to(total.device, _WIDE))), total)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values, self.sum + other.sum)

    @property
    def sum(self) -> Tensor:
        """The summed quantity."""
        return self.values[0] if self._total is None else self._total

    @property
    def count(self) -> Tensor:
        """How many were summed."""
        return self.values[1]

    def compute(self) -> float:
        """Sum over count; NaN when nothing was counted."""
        total, count = self.values.tolist()
        return total / count if count else float("nan")
