"""How long an LSTM remembers before it has learnt anything.

    remember(lstm, longest=100)     # of each layer some cells forget at once, some in 100 steps

A forget gate as torch makes it keeps half of what it knows at each step.
"""

from __future__ import annotations

import torch
from torch import nn


def remember(lstm: nn.LSTM, longest: int) -> None:
    """Set gates for memories of 1 step to `longest` (Tallec & Ollivier, 2018, eq. 16), in place."""
    width = lstm.hidden_size
    steps = torch.linspace(1, max(1, longest - 1), width).log()
    for layer in range(lstm.num_layers):
        bias = lstm.get_parameter(f"bias_hh_l{layer}")  # of input, forget, cell and output gates
        bias.data[: 2 * width] = torch.cat([-steps, steps])
