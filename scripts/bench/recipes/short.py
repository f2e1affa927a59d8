"""A small LSTM that continues sequences of numbers: the same sizes as scripts/bench/peers/short.py.

turnaround run recipe=short optim.lr=0.01 budget.steps=100
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.engine import Mean, Recipe

SYMBOLS, WIDTH, LENGTH, EXAMPLES = 64, 64, 32, 1024


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.out = nn.Linear(WIDTH, SYMBOLS)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(self.lstm(self.embed(x))[0])
        return logits


class Short(Recipe[Tensor]):
    def data(self, split: str) -> list[Tensor]:
        drawn = torch.Generator().manual_seed(len(split))
        begin = torch.randint(SYMBOLS, (EXAMPLES if split == "train" else 64, 1), generator=drawn)
        step = torch.randint(1, 5, begin.shape, generator=drawn)
        return list((begin + step * torch.arange(LENGTH + 1)) % SYMBOLS)

    def model(self) -> nn.Module:
        return Model()

    def inputs(self, batch: Tensor) -> tuple[Tensor]:
        return (batch[:, :-1],)

    def loss(self, output: Tensor, batch: Tensor) -> Mean:
        told = batch[:, 1:]
        nll = cross_entropy(output.flatten(0, 1), told.flatten(), reduction="sum")
        return Mean.of(nll, told.numel())
