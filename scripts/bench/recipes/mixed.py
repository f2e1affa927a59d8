"""A recipe for scripts/bench/ledger: fit a line, and do on request what goes wrong in real ones."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from turnaround.engine import Mean, Recipe


@dataclass(frozen=True)
class Config:
    width: int = 64
    pause: float = 0.0  # seconds of each forward pass
    load: float = 0.0  # seconds to make a batch
    judge: float = 0.0  # seconds to score a batch
    fault: str = ""  # raise · nan · kill (once)
    at: int = 30  # the step of the fault, about


class Mixed(Recipe[tuple[Tensor, Tensor]]):
    config: Config

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        x = torch.linspace(-1, 1, 256).view(-1, 1)
        return list(zip(x, 3 * x, strict=True))

    def collate(self, examples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        _pause(self.config.load)
        return super().collate(examples)

    def model(self) -> nn.Module:
        width = self.config.width
        return nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1))

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor]:
        _pause(self.config.pause)
        return (batch[0],)

    def loss(self, output: Tensor, batch: tuple[Tensor, Tensor]) -> Mean:
        error = (output - batch[1]).square().sum()
        return Mean.of(error * self._fault() if torch.is_grad_enabled() else error, len(output))

    def score(
        self, model: nn.Module, batch: tuple[Tensor, Tensor], output: Tensor
    ) -> dict[str, Mean]:
        _pause(self.config.judge)
        return {"near": Mean.of(((output - batch[1]).abs() < 0.1).sum(), len(batch[0]))}

    def length(self, example: tuple[Tensor, Tensor]) -> int:
        return 1

    def _fault(self) -> float:
        """What the loss is multiplied by, if anything is left to multiply."""
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == self.config.at:
            match self.config.fault:
                case "raise":
                    raise ValueError("a mistake of the recipe's")
                case "nan":
                    return float("nan")
                case "kill":
                    self._kill_once()
        return 1.0

    def _kill_once(self) -> None:
        mark = Path(f".killed-{self.config.at}-{self.config.width}")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def _pause(seconds: float) -> None:
    if seconds:  # sleep(0) hands the core to whoever wants it
        time.sleep(seconds)
