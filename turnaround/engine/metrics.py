"""What is counted while training: sums that add up over batches and devices.

    loss = Mean.of(nll.sum(), targets)     # a sum and its count, never a mean
    total = loss + another                 # over micro-batches, batches, devices
    total.compute()                        # 1.23

So one device and many draw the same curve.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

_MOST_NATS = 709.0  # whose exponential is a float
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

    Of one made by `of` the values are put together when they are asked for: a step on a CPU never
    asks, since small tensors cost 3 to 10 µs each where a batch has just been through the cache.
    """

    def __init__(self, values: Tensor, total: Tensor | None = None) -> None:
        self._values: Tensor | None = values
        self._pair: tuple[float, float] | None = None
        self._total: Tensor | None = values[0] if total is None else total
        self._count: Tensor | float = 0.0  # of one made by `of`
        self._weight: Tensor | None = None

    @classmethod
    def of(cls, total: Tensor | float, count: Tensor | int) -> Self:
        """From a summed quantity and how many were summed; the sum keeps its graph for backward."""
        made = cls.__new__(cls)
        made._total = total if isinstance(total, Tensor) else torch.as_tensor(total)
        made._values = made._weight = made._pair = None
        made._count = count
        return made

    @classmethod
    def told(cls, total: float, count: float) -> Self:
        """From plain numbers that are known; tensors are made of them where somebody wants such."""
        made = cls.__new__(cls)
        made._total = made._values = made._weight = None
        made._count = count
        made._pair = total, count
        return made

    def __add__(self, other: Self) -> Self:
        return type(self)(self.values + other.values, self.sum + other.sum)

    @property
    def values(self) -> Tensor:  # type: ignore[override]  # of one made from values it is these
        """(2,)."""
        if self._values is None:
            if self._total is None or self._total.is_cpu:
                self._values = torch.tensor(self.pair, dtype=_WIDE)
            else:
                total = self._total.detach()
                count = torch.as_tensor(self._count).to(total.device, _WIDE)
                self._values = torch.stack((total.to(_WIDE), count))
        return self._values

    @property
    def pair(self) -> tuple[float, float]:
        """The same as plain numbers, read once: 15 µs after a batch; waits for the device."""
        if self._pair is None:
            if self._values is None and self.sum.is_cpu:
                self._pair = self.sum.item(), float(self._count)
            else:
                total, count = self.values.tolist()
                self._pair = total, count
        return self._pair

    @property
    def raw(self) -> tuple[Tensor, Tensor | float]:
        """Sum and count as they were given: nothing is computed or waited for."""
        return self.sum, self._count if self._values is None else self._values[1]

    @property
    def sum(self) -> Tensor:
        """The summed quantity."""
        if self._total is None:
            self._total = self.values[0]
        return self._total

    @property
    def count(self) -> Tensor:
        """How many were summed."""
        return self.values[1]

    def divisor(self, dtype: torch.dtype) -> Tensor:
        """The same in that type; of plain numbers it is made once for all that are alike."""
        if self._total is None:
            return _number(self.pair[1], dtype, torch.device("cpu"))
        return self.count.to(dtype)

    def backward(self, times: float = 1.0, *beside: tuple[Tensor, Tensor]) -> None:
        """Add so many times the gradients of the sum, or of the mean where it is `divided`.

        The pass begins at the tensors `beside` it too, each with its gradient.
        """
        weight = self._weight
        if times != 1:
            number = _number(times, self.sum.dtype, self.sum.device)
            weight = number if weight is None else weight * number
        tensors, gradients = zip((self.sum, weight), *beside, strict=True)
        torch.autograd.backward(tensors, gradients)

    def summed(self) -> Self:
        """As it is."""
        return self

    def divided(self) -> Self:
        """The same, but `backward` gives the gradients of the mean."""
        total = self.sum
        if total.is_cpu:
            self._weight = _inverse(self.pair[1], total.dtype, total.device)
        elif self._values is None and not isinstance(self._count, Tensor):
            self._weight = _inverse(float(self._count), total.dtype, total.device)
        else:
            self._weight = (1 / self.count).to(total.dtype)
        return self

    def compute(self) -> float:
        """Sum over count; NaN when nothing was counted."""
        total, count = self.pair
        return total / count if count else float("nan")


class Perplexity(Mean):
    """Among how many tokens, all alike likely, a guess would be as hard: of a loss in nats."""

    def compute(self) -> float:
        """The exponential of the mean; infinite when that is more than a float holds."""
        mean = super().compute()
        return math.inf if mean > _MOST_NATS else math.exp(mean)


class Furthest(Tally):
    """The largest difference of two vectors of shares: `values` is a count and then their sums."""

    @classmethod
    def of(cls, seen: Tensor, expected: Tensor, count: int) -> Self:
        """From what was counted (n) among `count`, and the shares that were expected (n)."""
        return cls(torch.cat([seen.new_tensor([count]), seen, expected * count]))

    def differences(self) -> Tensor:
        """Of the shares: (n)."""
        seen, expected = (self.values[1:] / self.values[0]).chunk(2)
        return seen - expected

    def compute(self) -> float:
        """The largest, whatever its sign."""
        return float(self.differences().abs().max())


class Typical(Furthest):
    """The same, but the root of the mean of their squares."""

    def compute(self) -> float:
        """The root."""
        return math.sqrt(self.differences().square().mean())


@functools.lru_cache(1024)  # a task has few different counts, or is slow enough to make each
def _inverse(count: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(1 / (count or math.nan), dtype=dtype, device=device)


@functools.lru_cache(1024)
def _number(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(value, dtype=dtype, device=device)


def added(losses: Sequence[Mean]) -> Mean:
    """Their sum, without a graph."""
    if len(losses) == 1:
        return losses[0]
    return Mean(torch.stack([loss.values for loss in losses]).sum(0))
