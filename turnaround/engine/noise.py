"""The gradient noise scale: how large a batch still pays, measured while training.

    found = Estimate()
    found.add(small=2.1, large=1.3, part=32, whole=64)   # squared norms of mean gradients, examples
    found.scale            # B_simple = tr Σ / |G|², in examples; about the largest useful batch
    found.interval()       # 90 % of it; none while |G|² cannot be told from zero

McCandlish et al., 2018 (arXiv 1812.06162), appendix A.1: of the same step's examples, squared norms
of the gradient over a part and over the whole give unbiased tr Σ and |G|², which are averaged each
by itself. The mean of their ratios is useless: a step's |G|² is often below zero.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from turnaround.engine.metrics import Mean
from turnaround.engine.pace import Progress
from turnaround.engine.world import World
from turnaround.forecast.share import MEMORY

SECONDS = 1.0  # between two that are said
HORIZON = MEMORY  # measurements that are remembered; the scale grows as the loss falls
LARGE = 0.5  # of a ratio's relative bias
TWO_SIDED_90 = 1.645  # standard errors of a normal distribution


@dataclass
class Estimate:
    """Weighted sums over measurements; `sums` is all there is to save."""

    horizon: float = HORIZON
    # weights, their squares, then Σ, G², Σ², G⁴ and Σ·G², each weighted and summed
    sums: list[float] = field(default_factory=lambda: [0.0] * 7)

    def add(self, small: float, large: float, part: float, whole: float) -> None:
        """One step's squared norms of the mean gradients over `part` and `whole` examples.

        Raw ones: before clipping, weight decay and the optimizer.
        """
        trace = (small - large) / (1 / part - 1 / whole)  # McCandlish et al., eq. A.3
        square = (whole * large - part * small) / (whole - part)  # eq. A.2
        if not (math.isfinite(trace) and math.isfinite(square)):
            return
        new = (1.0, 1.0, trace, square, trace * trace, square * square, trace * square)
        keep = 1.0 if self.sums[0] < self.horizon else 1 - 1 / self.horizon
        kept = (keep, keep * keep, keep, keep, keep, keep, keep)
        self.sums = [k * s + n for k, s, n in zip(kept, self.sums, new, strict=True)]

    @property
    def count(self) -> float:
        """How many measurements of equal weight would be worth as much."""
        return self.sums[0] ** 2 / self.sums[1] if self.sums[1] else 0.0

    @property
    def trace(self) -> float:
        """tr Σ, of the covariance of one example's gradient."""
        return self.sums[2] / self.sums[0] if self.sums[0] else math.nan

    @property
    def square(self) -> float:
        """|G|², of the gradient over all examples that there are."""
        return self.sums[3] / self.sums[0] if self.sums[0] else math.nan

    @property
    def scale(self) -> float:
        """tr Σ / |G|² in examples, less the first-order bias of a ratio of means; NaN without.

        A bias that is not small is not of first order, and left in.
        """
        if self.count < 2 or self.square <= 0 or self.trace <= 0:
            return math.nan
        _, square, both = self._variances()
        bias = square / self.square**2 - both / (self.trace * self.square)
        return self.trace / self.square / (1 + bias if abs(bias) < LARGE else 1)

    @property
    def error(self) -> float:
        """Its relative standard error, by the delta method; infinite before there is one."""
        if self.count < 2 or self.square <= 0 or self.trace <= 0:
            return math.inf
        trace, square, both = self._variances()
        relative = trace / self.trace**2 + square / self.square**2
        return math.sqrt(max(relative - 2 * both / (self.trace * self.square), 0.0))

    def interval(self, errors: float = TWO_SIDED_90) -> tuple[float, float] | None:
        """All ratios that so many standard errors do not exclude (Fieller, 1954).

        It stays right where |G|² is uncertain and a ratio is skewed; none where |G|² may be zero.
        """
        if self.count < 2:
            return None
        a, b, c = self._quadratic(errors)
        if a <= 0 or self.square <= 0 or b * b < a * c:
            return None
        root = math.sqrt(b * b - a * c)
        return max((b - root) / a, 0.0), (b + root) / a

    def least(self, errors: float = TWO_SIDED_90) -> float:
        """The interval's lower end, which there is where |G|² may be zero as well; 0 without."""
        if self.count < 2:
            return 0.0
        a, b, c = self._quadratic(errors)
        if c <= 0 or b * b < a * c:
            return 0.0
        below = b + math.sqrt(b * b - a * c)
        return c / below if below > 0 else 0.0

    def _quadratic(self, errors: float) -> tuple[float, float, float]:
        """a, b and c: a ratio x is not excluded where a x² − 2 b x + c ≤ 0."""
        trace, square, both = (errors**2 * v for v in self._variances())
        return (
            self.square**2 - square,
            self.trace * self.square - both,
            self.trace**2 - trace,
        )

    def wanting(self, target: float) -> float:
        """How many more measurements like these bring the relative standard error to `target`."""
        if not math.isfinite(self.error):
            return math.inf
        return max(0.0, self.count * ((self.error / target) ** 2 - 1))

    def _variances(self) -> tuple[float, float, float]:
        """Of the two means, and their covariance."""
        weight, count = self.sums[0], self.count
        traces, squares, boths = (s / weight for s in self.sums[4:])
        free = max(count - 1, 1.0)
        return (
            max(traces - self.trace**2, 0.0) / free,
            max(squares - self.square**2, 0.0) / free,
            (boths - self.trace * self.square) / free,
        )


class Norms(NamedTuple):
    """Squared norms of one step's mean gradients, over a part of its examples and over all."""

    small: float
    large: float
    part: float
    whole: float


class Ear(Protocol):
    """What is asked of a layout here."""

    world: World

    def hears(self, pieces: int, size: int) -> list[int] | None: ...

    def listening(self, model: nn.Module) -> AbstractContextManager[list[Tensor]]: ...


class Listener:
    """Measures every so many steps; `now.noise` holds the sums, and so does every checkpoint."""

    then: Callable[[Progress, Norms], None] = staticmethod(lambda now, norms: None)  # what follows

    def __init__(
        self,
        ear: Ear,
        model: nn.Module,
        pieces: int,
        every: int,
        left: Callable[[], Tensor],
        tell: Callable[[Progress, dict[str, float]], None],
    ) -> None:
        self._ear = ear
        self._model = model
        self._pieces = pieces  # of this rank's share of a batch, until that grows
        self._every = every
        self._left = left  # the norm of the summed loss's gradients, once they are all there
        self._tell = tell
        self._told = -math.inf

    def __call__(self, now: Progress, size: int, gradients: Callable[[], Mean]) -> Mean:
        """Those of a step's `size` examples; every rank measures at the same steps."""
        if now.step % self._every:
            return gradients()
        with self._ear.listening(self._model) as squares:
            loss = gradients()
        norms = self._norms(squares, size, now.times, float(loss.count))
        estimate = Estimate(sums=now.noise or Estimate().sums)
        estimate.add(*norms)
        now.noise = estimate.sums
        self._say(now, estimate)
        self.then(now, norms)
        return loss

    def _norms(self, squares: list[Tensor], size: int, times: int, count: float) -> Norms:
        """Of the mean gradients, the same bits on every rank."""
        parts = self._ear.hears(self._pieces * times, size)
        assert parts is not None  # or nobody would listen
        heard = torch.cat([square.double().flatten() for square in squares]).sum()
        left = self._left().to(heard) * (self._ear.world.rank == 0)
        small, large = self._ear.world.sum(torch.stack((heard, left))).tolist()
        share, part = shared(parts, size)
        return Norms(small / (count * share) ** 2, (large / count) ** 2, part, size)

    def _say(self, now: Progress, estimate: Estimate) -> None:
        moment = time.monotonic()
        if moment - self._told < SECONDS or not (ends := estimate.interval()):
            return
        if math.isnan(estimate.scale):
            return
        self._told = moment
        names = ("noise/scale", "noise/low", "noise/high", "noise/trace", "noise/square")
        values = (estimate.scale, *ends, estimate.trace, estimate.square)
        self._tell(now, dict(zip(names, values, strict=True)))


def shared(parts: Sequence[int], size: int) -> tuple[float, float]:
    """The share of a batch, and the examples, that stand for parts of which some have one more.

    A summed gradient over n examples has the expected square n² |G|² + n tr Σ. So over the mean of
    n², the mean of such squares is |G|² + tr Σ / (mean of n² / mean of n).
    """
    root = math.sqrt(sum(n * n for n in parts) / len(parts))
    share = root / size
    return share, share * size * (root / (sum(parts) / len(parts)))  # the ratio of equals is 1


def unheard(gradients: Tensor) -> None:
    """Where nobody listens to what a layout is about to send."""


def deaf(now: Progress, size: int, gradients: Callable[[], Mean]) -> Mean:
    """Where nothing is to be measured."""
    return gradients()


def doubts(model: nn.Module) -> Iterator[str]:
    """What makes the noise scale of this model mean something else."""
    mixing = nn.modules.batchnorm._BatchNorm
    for name in [n for n, m in model.named_modules() if isinstance(m, mixing)][:1]:
        yield (
            f"batch normalisation ({name}) mixes the examples of a micro-batch: noise/scale is "
            "that of micro-batches of this size, and tells little of other batches"
        )


@contextlib.contextmanager
def firsts(
    parameters: Iterable[Parameter],
    gradient: Callable[[Parameter], Tensor | None] = lambda parameter: parameter.grad,
) -> Iterator[list[Tensor]]:
    """Inside, the squared norm of each parameter's gradient after the first backward pass.

    In order of the parameters, and zero where there is none.
    """
    learnt = [parameter for parameter in parameters if parameter.requires_grad]
    squares = [torch.zeros((), device=p.device) for p in learnt]
    waiting = set(range(len(learnt)))

    def take(place: int, parameter: Tensor) -> None:
        if place in waiting and isinstance(parameter, Parameter):
            waiting.discard(place)
            found = gradient(parameter)
            squares[place] = squares[place] if found is None else square(found)

    hooks = [
        parameter.register_post_accumulate_grad_hook(functools.partial(take, place))  # type: ignore[no-untyped-call]  # torch types it so
        for place, parameter in enumerate(learnt)
    ]
    try:
        yield squares
    finally:
        for hook in hooks:
            hook.remove()


def square(gradient: Tensor) -> Tensor:
    """Its squared norm."""
    return norm(gradient).square()


def norm(gradient: Tensor) -> Tensor:
    """Of all its numbers."""
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    found: Tensor = torch.linalg.vector_norm(values.detach().float())  # of fp64 it is narrower
    return found
