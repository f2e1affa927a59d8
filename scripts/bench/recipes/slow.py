"""Fit a line, and be slow in one place: every knob is a sleep, so that no machine's noise decides.

turnaround run recipe=slow budget.steps=300 recipe.read=0.001
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe

Batch = tuple[Tensor, Tensor]  # x and y, both (batch, 1)


@dataclass(frozen=True)
class Config:
    read: float = 0.0  # seconds to read an example
    step: float = 0.0  # of a forward pass, however small the batch
    learn: float = 0.0  # of each of its examples
    lag: float = 0.0  # of each of its examples, on every rank but the first
    save: float = 0.0  # to gather what a checkpoint holds
    score: float = 0.0  # to score a batch
    names: int = 1  # scores of an evaluation
    valid: int = 32  # examples of valid and of test
    width: int = 8
    hold: float = 0.0  # GB that a process has for itself


def pause(seconds: float) -> None:
    """Sleep, if at all: on a busy machine `sleep(0)` gives a whole time slice away."""
    if seconds > 0:
        time.sleep(seconds)


class Slow(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> list[Batch]:
        x = torch.linspace(-1, 1, 8192 if split == "train" else self.config.valid).view(-1, 1)
        return list(zip(x, 3 * x, strict=True))

    def collate(self, examples: list[Batch]) -> Batch:
        pause(self.config.read * len(examples))
        x, y = zip(*examples, strict=True)
        return torch.stack(x), torch.stack(y)

    def model(self) -> nn.Module:
        width = self.config.width
        self.held = torch.ones(int(1e9 * self.config.hold / 4))
        model = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))
        model.register_state_dict_pre_hook(lambda *_: pause(self.config.save))
        return model

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        c = self.config
        lags = dist.is_initialized() and dist.get_rank() > 0
        pause(c.step + len(batch[0]) * (c.learn + c.lag * lags))
        return (batch[0],)

    def loss(self, output: Tensor, batch: Batch) -> Mean:
        return Mean.of((output - batch[1]).square().sum(), len(output))

    def score(self, model: nn.Module, batch: Batch, output: Tensor) -> dict[str, Mean]:
        pause(self.config.score)
        count = len(batch[0])
        error = batch[1].abs().sum()
        return {f"error_{i}": Mean.of(error, count) for i in range(self.config.names)}
