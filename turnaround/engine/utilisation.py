"""How much of what its devices could compute a run does: model FLOPs utilisation.

    used = meter("NVIDIA H100 80GB HBM3", "bf16", devices=8, count=lambda: flops(recipe, examples))
    used(5120.0)        # examples a second → 0.41; NaN where the device's peak is not known

Chowdhery et al., 2022 (PaLM, arXiv 2204.02311, appendix B): operations that the model itself needs,
whether or not activations are computed twice, over the peak that the maker names. They are counted
once, on the first batch and without numbers (the meta device), so a step costs nothing more; where
examples differ in length it is as exact as that batch is typical.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from turnaround.engine.data import moved
from turnaround.engine.recipe import Recipe

# Operations a second, dense, from the makers' data sheets; fp32 without tensor cores. The first
# whose words are in the device's name counts.
PEAKS: list[tuple[str, dict[str, float]]] = [
    (r"H100 PCIe", {"bf16": 756e12, "fp32": 51e12}),
    (r"H[12]00 NVL", {"bf16": 835e12, "fp32": 60e12}),
    (r"H[12]00\b", {"bf16": 989e12, "fp32": 67e12}),
    (r"A100\b", {"bf16": 312e12, "fp32": 19.5e12}),
    (r"A10\b", {"bf16": 125e12, "fp32": 31.2e12}),
    (r"L40S\b", {"bf16": 362e12, "fp32": 91.6e12}),
    (r"L4\b", {"bf16": 121e12, "fp32": 30.3e12}),
    (r"RTX 4090\b", {"bf16": 165e12, "fp32": 82.6e12}),
    (r"RTX 3090\b", {"bf16": 71e12, "fp32": 35.6e12}),
    (r"T4\b", {"fp32": 8.1e12}),
]

# A slice of a device, or another that is named after one of them.
OTHER = re.compile(r"\b(MIG|Laptop|Max-Q)\b|\b\d+ (Ti|SUPER|D)\b", re.IGNORECASE)

Meter = Callable[[float], float]  # examples a second → share of the peak


def unknown(speed: float) -> float:
    """Of a device whose peak nobody has told."""
    return math.nan


def meter(name: str, precision: str, devices: int, count: Callable[[], float]) -> Meter:
    """For so many devices of that name; `count` gives the operations of one example."""
    most = peak(name, precision)
    if most is None:
        return unknown
    each = functools.cache(count)
    return lambda speed: each() * speed / (most * devices) if math.isfinite(speed) else math.nan


def peak(name: str, precision: str) -> float | None:
    """Of one device in operations a second; none if it is not in the table, or a part or a variant
    of one that is."""
    if OTHER.search(name):
        return None
    found = (peaks for words, peaks in PEAKS if re.search(rf"\b{words}", name))
    return next(found, {}).get(precision)


def flops(recipe: Recipe[Any], examples: Sequence[Any]) -> float:
    """Of forward and backward for one of these; NaN for a recipe that needs to see numbers."""
    meta = torch.device("meta")
    counted = FlopCounterMode(display=False)
    try:
        with meta:
            model = recipe.model()
        batch = moved(recipe.collate(list(examples)), meta, torch.get_default_dtype())
        with meta, counted:
            recipe.loss(model(*recipe.inputs(batch)), batch).backward()
    except Exception:  # the recipe's own code runs here, and a run does not need to know
        return math.nan
    return counted.get_total_flops() / len(examples)
