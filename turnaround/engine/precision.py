"""In which types a model keeps its parameters and computes.

    precision = named("bf16")
    with precision.parameters():
        model = recipe.model()
    with precision.compute("cuda"):
        output = model(*inputs)

Gradients and the optimizer's state have the type of the parameters.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Precision:
    """The type of parameters and the type of matrix products.

    bf16 keeps the exponent range of fp32, so unlike fp16 it needs no scaling of the loss.
    """

    kept: torch.dtype
    computed: torch.dtype

    @contextlib.contextmanager
    def parameters(self) -> Iterator[None]:
        """Tensors made here without naming a type have that of the parameters."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.kept)
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def compute(self, device: str) -> contextlib.AbstractContextManager[object]:
        """Matrix products here are done in the type of computing."""
        if self.computed is self.kept:
            return _AS_IT_IS
        return torch.autocast(device, self.computed)


_AS_IT_IS = contextlib.nullcontext()
_NAMED = {
    "fp64": Precision(torch.float64, torch.float64),
    "fp32": Precision(torch.float32, torch.float32),
    "bf16": Precision(torch.float32, torch.bfloat16),
}


def named(name: str) -> Precision:
    """The precision of that name."""
    return _NAMED[name]
