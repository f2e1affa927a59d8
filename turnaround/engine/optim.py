"""Optimizers and learning-rate schedules by name; gradients brought to scale and clipped.

    optimizer = make(plan.optim, model.parameters())
    rate(plan.optim, step=0, share=0.0)          # the learning rate of the first step
    scale = Scale(optimizer, clip=5.0)
    scale.begin(loss)                            # of a step, whose gradients are there
    scale.hand()                                 # the next step is that of the mean loss
    bare(optimizer)()                            # and takes it

Nothing here knows how the gradients came about.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import LBFGS, SGD, Adagrad, Adam, AdamW, Optimizer

from turnaround.engine.metrics import Mean
from turnaround.errors import ConfigError
from turnaround.spec import Optim

BY_ROWS = ("adagrad",)  # what takes gradients that hold some rows of a table only
SHARING = (SGD, Adam)  # fused here, they divide gradients by `grad_scale` as they go


def make(spec: Optim, parameters: Iterable[Parameter]) -> Optimizer:
    """The optimizer of that name; fused, which takes Adam on a CPU a fifth of the time."""
    learnt = [p for p in parameters if p.requires_grad]
    lr, decay = spec.lr, spec.weight_decay
    match spec.name:
        case "sgd":
            return SGD(learnt, lr, weight_decay=decay, fused=True)
        case "momentum":
            return SGD(learnt, lr, momentum=spec.momentum, weight_decay=decay, fused=True)
        case "adagrad":
            on_cpu = all(p.device.type == "cpu" for p in learnt)  # torch fuses no other Adagrad
            return ByRows(learnt, lr, eps=spec.eps, weight_decay=decay, fused=on_cpu)
        case "adam" | "adamw":
            kind = Adam if spec.name == "adam" else AdamW
            betas = (spec.betas[0], spec.betas[1])
            return kind(learnt, lr, betas=betas, eps=spec.eps, weight_decay=decay, fused=True)
        case "lbfgs":
            search = None if spec.line_search == "none" else spec.line_search
            return LBFGS(
                learnt,
                lr,
                max_iter=spec.inner,
                tolerance_grad=1e-10,  # torch's 1e-7 and 1e-9 are those of fp32: too soon for fp64
                tolerance_change=1e-14,
                history_size=spec.history,
                line_search_fn=search,
            )


class ByRows(Adagrad):
    """Adagrad that touches those rows alone that a sparse gradient holds; nothing fused can."""

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> tuple[bool, bool]:
        found: tuple[bool, bool] = super()._init_group(group, *lists)  # type: ignore[no-untyped-call]  # torch's
        if found[0] and group["weight_decay"]:  # it would fall on every row
            message = "optim.weight_decay does not go with sparse gradients"
            raise ConfigError(message, "optim.weight_decay=0, or sparse=false for the tables")
        if found[0] and group["fused"]:  # sparse, at the first step
            torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # or it warns
            group.update(fused=False, foreach=False)
        return found


def bare(optimizer: Optimizer) -> Callable[[], None]:
    """Its step without what torch wraps around it, hooks and names for a profiler: 25 µs less."""
    step = inspect.unwrap(type(optimizer).step)
    still = torch.no_grad()

    def move() -> None:
        with still:
            step(optimizer)

    return move


def fits(spec: Optim, model: nn.Module) -> None:
    """Refuse a model whose gradients hold only the rows that were met, but for BY_ROWS."""
    tables = sparse(model)
    if tables and spec.name not in BY_ROWS:
        message = f"optim={spec.name} does not take the sparse gradients of {tables[0]}"
        raise ConfigError(message, "optim=adagrad, or sparse=false for the recipe's tables")


def sparse(model: nn.Module) -> list[str]:
    """Modules whose gradients hold only the rows that were met."""
    return [n for n, m in model.named_modules() if getattr(m, "sparse", False) is True]


def kept(spec: Optim) -> int:
    """How many numbers the optimizer keeps for each parameter."""
    search = 2 * spec.history + 3  # pairs of changes, a direction and two gradients
    return {"sgd": 0, "momentum": 1, "adagrad": 1, "lbfgs": search}.get(spec.name, 2)


def rate(spec: Optim, step: int, share: float) -> float:
    """The learning rate of the step after `step` steps, when `share` of the budget is spent.

    The shape follows the share, so that budgets of time and of examples have schedules too; a
    linear warm-up over the first `warmup` steps multiplies it.
    """
    warm = min(1.0, (step + 1) / spec.warmup) if spec.warmup else 1.0
    return spec.lr * warm * _SHAPES[spec.schedule](spec, step, min(share, 1.0))


def _constant(spec: Optim, step: int, share: float) -> float:
    return 1.0


def _linear(spec: Optim, step: int, share: float) -> float:
    return spec.floor + (1 - spec.floor) * (1 - share)


def _cosine(spec: Optim, step: int, share: float) -> float:
    return spec.floor + (1 - spec.floor) * (1 + math.cos(math.pi * share)) / 2


def _inverse_sqrt(spec: Optim, step: int, share: float) -> float:
    """1 until the warm-up is over, then falling (Vaswani et al., 2017, section 5.3)."""
    begin = max(spec.warmup, 1)
    return math.sqrt(begin / max(step + 1, begin))


def _halving(spec: Optim, step: int, share: float) -> float:
    """Full, then halved again and again (Sutskever et al., 2014: after 5 of 7.5 epochs, each half
    epoch)."""
    if share < spec.halve_after:
        return 1.0
    return 0.5 ** (1 + math.floor((share - spec.halve_after) / spec.halve_every))


def _wsd(spec: Optim, step: int, share: float) -> float:
    """Full, then down to the floor; `sqrt` falls as one less the root of the share of the way,
    which ended lowest in Hägele et al., 2024 (the schedule: Hu et al., 2024)."""
    if share < spec.decay_after:
        return 1.0
    way = (share - spec.decay_after) / (1 - spec.decay_after) if spec.decay_after < 1 else 1.0
    return spec.floor + (1 - spec.floor) * _DECAYS[spec.decay](way)


_DECAYS: dict[str, Callable[[float], float]] = {
    "linear": lambda way: 1 - way,
    "cosine": lambda way: (1 + math.cos(math.pi * way)) / 2,
    "sqrt": lambda way: 1 - math.sqrt(way),
}
_SHAPES: dict[str, Callable[[Optim, int, float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "inverse_sqrt": _inverse_sqrt,
    "halving": _halving,
    "wsd": _wsd,
}


def total_norm(gradients: list[Tensor]) -> Tensor:
    """Of all of them together."""
    filled = [g.coalesce().values() if g.is_sparse else g for g in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(filled)))
    return norm


class Scale:
    """Gradients as they were added up, brought to those of the mean loss and clipped.

    Where the loss was divided before its backward pass (`Mean.divided`) and nothing is clipped
    there is nothing to do: a pass over the gradients of 2.4 million parameters takes 0.2 to 0.4 ms.
    Nor where the optimizer does it in its own pass, as torch's fused ones do for a scaled loss.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        clip: float | None,
        norm: Callable[[list[Tensor]], Tensor] = total_norm,
        divided: bool = False,
    ) -> None:
        self._optimizer: Any = optimizer
        self._clip = clip
        self._norm = norm
        self._divided = divided
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        fused = isinstance(optimizer, SHARING) and optimizer.param_groups[0]["fused"]
        # Their divisor is one of fp32, which is not enough for fp64.
        self._shared = fused and all(p.dtype == torch.float32 for p in self._parameters)
        self._loss: Mean | None = None  # of the step
        self._found: Tensor | None = None  # its norm, once somebody has asked

    def forget(self) -> None:
        """There are no gradients any more; a tenth of what `optimizer.zero_grad()` takes."""
        for parameter in self._parameters:
            parameter.grad = None

    def begin(self, loss: Mean) -> None:
        """The gradients of this loss are there."""
        self._loss, self._found = loss, None

    def norm(self) -> Tensor:
        """The global norm of the mean loss's gradients, before they are scaled; found once."""
        if self._found is None:
            assert self._loss is not None  # `begin` was called
            self._found = self.left() if self._divided else self.left() / self._loss.count
        return self._found

    def left(self) -> Tensor:
        """The global norm of the gradients as they are."""
        return self._norm(self._gradients())

    def __call__(self) -> None:
        """Divide by the count where that is to be done, by more where the norm is over the clip.

        One pass for both, and no number of the device is waited for.
        """
        if not self._done:
            torch._foreach_mul_(self._gradients(), 1 / self._divisor())

    def hand(self) -> None:
        """The same, but by the optimizer in its next step, where it can."""
        if not self._shared:
            self()
        elif not self._done:
            self._optimizer.grad_scale = self._narrow()

    @property
    def _done(self) -> bool:
        return self._divided and self._clip is None

    def _divisor(self) -> Tensor:
        assert self._loss is not None  # `begin` was called
        count = torch.ones(()) if self._divided else self._loss.count
        if self._clip is None:
            return count
        return count * ((self.norm() + 1e-6) / self._clip).clamp(min=1.0)

    def _narrow(self) -> Tensor:
        """The same as the optimizer takes it."""
        if self._loss and self._clip is None:
            return self._loss.divisor(torch.float32)
        return self._divisor().float()

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]
