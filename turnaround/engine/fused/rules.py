"""Optimizers of many members at once: elementwise, with a row of settings for each.

    step = rule("adam")([plan.optim for plan in plans], matrix)
    step.move(stack, gradients, rates)       # every row has moved by its own settings

Each is torch's own formula, term by term, on a matrix with a row for each member; what torch takes
as one number is here a column. The matrix is larger than a cache, so what counts is how often it is
passed over: a product and a sum go together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from turnaround.engine.fused.stack import Stack
from turnaround.errors import ConfigError
from turnaround.spec import Optim


class Rule:
    """What one step does to the parameters: plain gradient descent."""

    slots: ClassVar[tuple[str, ...]] = ()  # what torch's optimizer keeps of each parameter
    counts = False  # it keeps the number of steps too

    def __init__(self, specs: Sequence[Optim], like: Tensor) -> None:
        self._like = like
        self._decay = self.column([spec.weight_decay for spec in specs])
        self._decays = any(spec.weight_decay for spec in specs)
        clips = [math.inf if spec.clip is None else spec.clip for spec in specs]
        self._clip = self.column(clips) if min(clips) < math.inf else None

    def column(self, values: Sequence[float]) -> Tensor:
        """(members, 1)."""
        return torch.tensor(values, dtype=self._like.dtype, device=self._like.device)[:, None]

    def clipped(self, gradients: Tensor, norms: Tensor) -> Tensor:
        """Each row's gradients (members, numbers), no longer than its clip; `norms` (members)."""
        if self._clip is None:
            return gradients
        return gradients * (self._clip / (norms[:, None] + 1e-6)).clamp(max=1.0)

    @torch.no_grad()
    def move(self, stack: Stack, gradients: Tensor, rates: Sequence[float]) -> None:
        """One step; `gradients` are those of each member's mean loss."""
        stack.steps += 1
        self.change(stack, gradients, self.column(rates))

    def change(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        """The parameters, in place."""
        stack.matrix.addcmul_(self.decayed(stack.matrix, g), -rate)

    def decayed(self, p: Tensor, g: Tensor) -> Tensor:
        """The gradient with that of the penalty on the weights."""
        return torch.addcmul(g, p, self._decay) if self._decays else g


class Momentum(Rule):
    """Polyak's, as torch's SGD has it: velocity = momentum · velocity + gradient."""

    slots = ("momentum_buffer",)

    def __init__(self, specs: Sequence[Optim], like: Tensor) -> None:
        super().__init__(specs, like)
        self._keep = self.column([spec.momentum for spec in specs])

    def change(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        velocity = stack.slots["momentum_buffer"]
        torch.addcmul(self.decayed(stack.matrix, g), velocity, self._keep, out=velocity)
        stack.matrix.addcmul_(velocity, -rate)


class Adagrad(Rule):
    """Duchi, Hazan & Singer, 2011, the diagonal kind."""

    slots = ("sum",)
    counts = True

    def __init__(self, specs: Sequence[Optim], like: Tensor) -> None:
        super().__init__(specs, like)
        self._eps = self.column([spec.eps for spec in specs])

    def change(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        total, g = stack.slots["sum"], self.decayed(stack.matrix, g)
        total.addcmul_(g, g)
        stack.matrix.addcmul_(g / total.sqrt().add_(self._eps), -rate)


class Adam(Rule):
    """Kingma & Ba, 2015, algorithm 1."""

    slots = ("exp_avg", "exp_avg_sq")
    counts = True

    def __init__(self, specs: Sequence[Optim], like: Tensor) -> None:
        super().__init__(specs, like)
        self._eps = self.column([spec.eps for spec in specs])
        self._new = [self.column([1 - spec.betas[i] for spec in specs]) for i in (0, 1)]
        self._keep = self.column([spec.betas[1] for spec in specs])
        betas = [[spec.betas[i] for spec in specs] for i in (0, 1)]
        self._betas = torch.tensor(betas, dtype=torch.float64, device=like.device)

    def change(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        self.step(stack, self.decayed(stack.matrix, g), rate)

    def step(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        """Without any decay of the weights."""
        mean, square = (stack.slots[name] for name in self.slots)
        mean.lerp_(g, self._new[0])
        square.mul_(self._keep).addcmul_(self._new[1] * g, g)
        bias = (1 - self._betas ** stack.steps.double()).to(g.dtype)[:, :, None]
        root = square.sqrt().div_(bias[1].sqrt()).add_(self._eps)
        stack.matrix.addcmul_(mean / root, -rate / bias[0])


class AdamW(Adam):
    """Loshchilov & Hutter, 2019: weights decay by themselves, not by way of the gradient."""

    def change(self, stack: Stack, g: Tensor, rate: Tensor) -> None:
        if self._decays:
            stack.matrix.mul_(1 - rate * self._decay)
        self.step(stack, g, rate)


RULES: dict[str, type[Rule]] = {
    "sgd": Rule,
    "momentum": Momentum,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
}


def rule(name: str) -> type[Rule]:
    """The one of that optimizer; ConfigError for one that is not made of elements."""
    if name not in RULES:
        raise ConfigError(f"optim={name} cannot be fused", f"optim={', '.join(RULES)}")
    return RULES[name]
