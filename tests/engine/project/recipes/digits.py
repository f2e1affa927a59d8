"""A recipe for tests: name each digit's successor, in sequences of uneven lengths."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from turnaround.engine import Mean, Recipe, Tally

PAD = 0


@dataclass(frozen=True)
class Config:
    examples: int = 96
    width: int = 8
    rows: int = 11  # of the embedding, eleven of them in use
    sparse: bool = False  # its gradients hold the rows that were met
    dropout: float = 0.0
    pause: float = 0.0  # seconds a micro-batch
    slow: int | None = None  # a rank for which it is ten times as long
    wake: float = 0.0  # seconds until that rank has read what it trains on
    signal: int = 0  # that a process sends itself, at a moment that no other process could meet:
    times: int = 1  # so often,
    whose: int | None = 0  # of this rank, or every one,
    after: int = 0  # so many training batches,
    judging: bool = False  # or amid the evaluation that follows them


@dataclass(frozen=True)
class Batch:
    digits: Tensor  # (batch, longest), padded
    next: Tensor  # (batch, longest), padded


class Successor(nn.Module):
    def __init__(self, width: int, dropout: float, rows: int = 11, sparse: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(rows, width, padding_idx=PAD, sparse=sparse)
        self.drop = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, 11)

    def forward(self, digits: Tensor) -> Tensor:
        """Logits of each digit's successor: (batch, longest, 11)."""
        hidden, _ = self.lstm(self.drop(self.embed(digits)))
        return self.out(hidden)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


class Digits(Recipe[Batch]):
    config: Config
    seen = 0  # training batches

    def data(self, split: str) -> list[Tensor]:
        if split == "train" and self.config.slow == rank():
            time.sleep(self.config.wake)
        rng = torch.Generator().manual_seed(["train", "valid", "test"].index(split))
        count = self.config.examples if split == "train" else 16
        lengths = torch.randint(1, 9, (count,), generator=rng).tolist()
        return [torch.randint(1, 11, (n,), generator=rng) for n in lengths]

    def collate(self, examples: list[Tensor]) -> Batch:
        digits = pad_sequence(examples, batch_first=True, padding_value=PAD)
        return Batch(digits, torch.where(digits == PAD, PAD, digits % 10 + 1))

    def model(self) -> nn.Module:
        c = self.config
        return Successor(c.width, c.dropout, c.rows, c.sparse)

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        time.sleep(self.config.pause)
        if self.config.slow is not None and self.config.slow == rank():
            time.sleep(9 * self.config.pause)
        self.signalled()
        return (batch.digits,)

    def signalled(self) -> None:
        due = self.seen == self.config.after and self.config.judging != torch.is_grad_enabled()
        self.seen += torch.is_grad_enabled() or (due and self.config.judging)
        if self.config.signal and due and self.config.whose in (None, rank()):
            for _ in range(self.config.times):
                os.kill(os.getpid(), self.config.signal)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        nll = cross_entropy(logits.mT, batch.next, ignore_index=PAD, reduction="sum")
        return Mean.of(nll, (batch.next != PAD).sum())

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        right = logits.argmax(-1) == batch.next
        return {"right": Mean.of((right & (batch.next != PAD)).sum(), (batch.next != PAD).sum())}

    def samples(
        self, model: nn.Module, examples: list[Tensor]
    ) -> tuple[list[str], list[list[str]]]:
        rows = [[str(x.tolist()), str(model(x[None])[0].argmax(-1).tolist())] for x in examples]
        return ["digits", "guess"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        digits = torch.tensor([[int(word) + 1 for word in line.split()]])
        return " ".join(str(token - 1) for token in model(digits)[0].argmax(-1).tolist())
