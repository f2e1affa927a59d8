"""The blocks a model is made of: what is sharded, recomputed and compiled as one.

    list(blocks.of(model))       # [("encoder.0", Block(…)), ("encoder.1", Block(…)), …]
    blocks.forget(model)         # their activations are computed again when backward needs them

A block is a member of an `nn.ModuleList` or `nn.Sequential`, or a recurrent layer: whatever a
plain stack repeats.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from torch import nn
from torch.utils.checkpoint import checkpoint

from turnaround import spec
from turnaround.errors import ConfigError


def of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Names and blocks, inner ones first, each once; a norm by itself is not worth a message."""
    stacks = (nn.ModuleList, nn.Sequential)
    inside = {id(block) for m in model.modules() if isinstance(m, stacks) for block in m.children()}
    for name, module in reversed(list(model.named_modules())):
        repeated = id(module) in inside and not isinstance(module, stacks)
        if (repeated or isinstance(module, nn.RNNBase)) and _matrices(module):
            yield name, module


def tune(model: nn.Module, settings: spec.Layout) -> None:
    """What the plan asks of each block: to forget its activations, to be compiled."""
    if settings.activation_checkpointing:
        forget(model)
    if settings.compile:
        for block in list(_composed(model)) or [model]:
            block.compile()


def forget(model: nn.Module) -> None:
    """Keep only each block's inputs until backward, which computes the rest again.

    Chen et al., 2016: memory of the square root of the layers, for a third more computation.
    """
    found = list(_composed(model))
    if not found:
        message = "layout.activation_checkpointing=true found no blocks of several layers"
        raise ConfigError(message, "put what the model repeats into an nn.ModuleList")
    for block in found:
        block.forward = functools.partial(
            checkpoint, block.forward, use_reentrant=False
        )  # names stay as they are


def _composed(model: nn.Module) -> Iterator[nn.Module]:
    """Blocks of several layers: one by itself keeps little more than its inputs."""
    return (block for _, block in of(model) if any(True for _ in block.children()))


def _matrices(module: nn.Module) -> bool:
    return any(parameter.dim() > 1 for parameter in module.parameters())
