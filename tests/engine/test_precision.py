from __future__ import annotations

import torch
from torch import nn

from turnaround.engine.precision import named


def test_a_model_is_made_in_the_type_of_its_parameters() -> None:
    for name, kind in {"fp64": torch.float64, "fp32": torch.float32, "bf16": torch.float32}.items():
        with named(name).parameters():
            assert nn.Linear(2, 2).weight.dtype == kind
    assert torch.get_default_dtype() == torch.float32


def test_products_are_computed_in_the_type_of_computing() -> None:
    model = nn.Linear(2, 2)
    with named("bf16").compute("cpu"):
        assert model(torch.zeros(2)).dtype == torch.bfloat16
    with named("fp32").compute("cpu"):
        assert model(torch.zeros(2)).dtype == torch.float32
