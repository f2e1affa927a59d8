"""Optimizers and learning-rate schedules by name; gradients brought to scale and clipped.

    optimizer = make(plan.optim, model.parameters())
    rate(plan.optim, step=0, share=0.0)          # the learning rate of the first step
    norm = rescale(parameters, count, clip=5.0)  # from a summed loss to the mean one

Nothing here knows how the gradients came about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer

from turnaround.spec import Optim


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
            return Adagrad(learnt, lr, eps=spec.eps, weight_decay=decay, fused=on_cpu)
        case "adam" | "adamw":
            kind = Adam if spec.name == "adam" else AdamW
            betas = (spec.betas[0], spec.betas[1])
            return kind(learnt, lr, betas=betas, eps=spec.eps, weight_decay=decay, fused=True)


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


_SHAPES: dict[str, Callable[[Optim, int, float], float]] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "inverse_sqrt": _inverse_sqrt,
    "halving": _halving,
}


def rescale(parameters: list[Parameter], count: Tensor, clip: float | None) -> Tensor:
    """Divide the gradients by `count` and clip their global norm; the norm before clipping.

    One factor and one pass for both, and no number of the device is waited for.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))) / count
    factor = 1 / count if clip is None else (clip / (norm + 1e-6)).clamp(max=1.0) / count
    torch._foreach_mul_(gradients, factor)
    return norm
