"""Pointer network: read points, answer with some of them in order: a tour, a hull, a triangulation.

Attention over what was read is itself the output (Vinyals, Fortunato & Jaitly, 2015). Points are
drawn as long as training lasts, each once, and the right answers are computed exactly.

    turnaround run recipe=pointer                                        # tours of 5 points
    turnaround run recipe=pointer recipe.task=hull                       # or delaunay
    turnaround run recipe=pointer recipe.points=10 recipe.fewest=5 data.test=eil51.tsp   # TSPLIB

Data: points drawn as long as training lasts, answers computed exactly; a TSPLIB file to test on.
Expect: tours of 5 points 1.005 times as long as the shortest, 79 % of them the shortest (one seed).
Time: one minute on one CPU core, 1,500 steps of 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from turnaround.corpora import points
from turnaround.corpora.planar import EXACT, Numbers
from turnaround.corpora.points import Problem
from turnaround.engine import Endless, Mean, Recipe, Tally
from turnaround.errors import ConfigError
from turnaround.nn.attention import Attention
from turnaround.nn.beam import Beam
from turnaround.spec import Count

END, PAD = 0, -1  # what ends an answer, and starts it; point 0 is 1 in an answer


@dataclass(frozen=True)
class Config:
    task: Literal["tsp", "hull", "delaunay"] = "tsp"
    points: Count = 5  # of each problem
    fewest: Count | None = None  # if given, from so many to `points`, all numbers alike often
    problems: Count = 2000  # to be judged on: as many for valid as for test
    width: Count = 128  # of both LSTMs and of the attention
    beam: Count = 4  # answers to keep while searching; 1 is greedy

    def __post_init__(self) -> None:
        least = 3 if self.fewest is None else self.fewest
        if not 3 <= least <= self.points:
            raise ConfigError(
                f"recipe.points={self.points} with recipe.fewest={self.fewest}",
                "give at least 3 points, and no more as the fewest",
            )
        if self.task == "tsp" and self.points > EXACT:
            raise ConfigError(
                f"recipe.points={self.points}: no shortest tour of so many is known",
                f"train on at most {EXACT}; a file to test on may have more",
            )


@dataclass(frozen=True)
class Batch:
    points: Tensor  # (batch, most points, 2)
    sizes: Tensor  # (batch,): how many are no padding
    target: Tensor  # (batch, longest answer): numbers from 1, then END, then PAD
    problems: list[Problem]
    answers: list[Numbers]  # from 0


Parts = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rules:
    """Where an answer may point next, so that it breaks no rule: of points that are all taken a
    tour is made in one way only, and of two orders of a triangle's corners there is one."""

    task: str

    def begin(self, places: Tensor) -> Parts:
        """What is taken of `places` (…, 1 + points), and how many tokens; START is one before."""
        return torch.zeros_like(places, dtype=torch.bool), -torch.ones_like(places[..., 0]).long()

    def after(self, taken: Tensor, length: Tensor, token: Tensor) -> Parts:
        """The same once it has pointed at `token` (…)."""
        if self.task == "delaunay":
            within = (length % 3 != 2).unsqueeze(-1)  # a triangle; after it all is free again
            number = torch.arange(taken.shape[-1], device=taken.device)
            return within & (number <= token.unsqueeze(-1)), length + 1
        return taken | one_hot(token, taken.shape[-1]).bool(), length + 1

    def open(self, taken: Tensor, length: Tensor, sizes: Tensor) -> Tensor:
        """Where it may point: (…, 1 + points)."""
        number = torch.arange(taken.shape[-1], device=taken.device)
        sizes, length = sizes.unsqueeze(-1), length.unsqueeze(-1)
        last = sizes - 2 + length % 3 if self.task == "delaunay" else sizes
        free = ~taken & (number != END) & (number <= last)
        if self.task == "tsp":
            free &= (length > 0) | (number == 1)  # a round may start anywhere: it starts there
        whole = length >= (sizes if self.task == "tsp" else 3)
        if self.task == "delaunay":
            whole &= length % 3 == 0
        free[..., :1] = whole | ~free.any(-1, keepdim=True)
        return free


class Pointer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Linear(2, width)
        self.end = nn.Parameter(torch.randn(width) / width**0.5)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.decoder = nn.LSTM(width, width, batch_first=True)
        self.attention = Attention(width, width, width)
        self.rules = Rules(config.task)

    def forward(self, points: Tensor, sizes: Tensor, prefix: Tensor) -> Tensor:
        """Logits of what follows each token of `prefix`: (batch, length, 1 + points)."""
        (hidden, cell), (keys, embedded, _) = self.encode(points, sizes)
        hidden, _ = self.decoder(picked(embedded, prefix), (hidden[None], cell[None]))
        taken, length = self.rules.begin(keys[..., 0])
        free = []
        for token in prefix.unbind(1):
            taken, length = self.rules.after(taken, length, token)
            free.append(self.rules.open(taken, length, sizes))
        logits = self.attention.energies(hidden, keys)
        return logits.masked_fill(~torch.stack(free, 1), -torch.inf)

    def encode(self, points: Tensor, sizes: Tensor) -> tuple[Parts, Parts]:
        """The decoder's first state, (batch, width) each; keys and what was read, END first."""
        end = self.end.expand(len(points), 1, -1)
        embedded = torch.cat([end, self.embed(points)], 1)
        packed = pack_padded_sequence(embedded, sizes.cpu() + 1, True, enforce_sorted=False)
        read, (hidden, cell) = self.encoder(packed)
        keys = self.attention.keys(pad_packed_sequence(read, True)[0])
        return (hidden[0], cell[0]), (keys, embedded, sizes)

    def step(self, last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        """One token further, for beam search: what is taken is part of a prefix's state."""
        (hidden, cell, taken, length), (keys, embedded, sizes) = state, memory
        before = (part.flatten(0, 1)[None].contiguous() for part in (hidden, cell))
        out, after = self.decoder(picked(embedded, last).flatten(0, 1)[:, None], tuple(before))
        taken, length = self.rules.after(taken, length, last)
        free = self.rules.open(taken, length, sizes[:, None])
        logits = self.attention.energies(out.view(*last.shape, -1), keys)
        log_probs = logits.masked_fill(~free, -torch.inf).log_softmax(2)
        return log_probs, (*(part[0].unflatten(0, last.shape) for part in after), taken, length)


class PointerNetwork(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Sequence[Problem]:
        if self.source.train or self.source.valid:
            raise ConfigError(
                "recipe=pointer draws the points that it trains on and is judged by",
                "give data.test=FILE.tsp to have that problem answered in the end",
            )
        file = self.source.test or self.source.path
        if split == "test" and file:
            return [points.from_file(Path(file))]
        key = {"train": int(torch.randint(3, 2**62, ())), "valid": 1, "test": 2}[split]
        fewest, most = self.config.fewest or self.config.points, self.config.points
        endless = Endless(lambda number: points.drawn(key, number, fewest, most))
        return endless if split == "train" else endless[: self.config.problems]

    def length(self, example: Problem) -> int:
        return len(example.points)

    def collate(self, examples: list[Problem]) -> Batch:
        # The answers are made here: all tours of a size at once, by the device that will need them.
        answers = self.task.answers(examples)
        places = [torch.from_numpy(problem.points) for problem in examples]
        targets = [torch.tensor([*(answer + 1), END]) for answer in answers]
        sizes = torch.tensor([len(place) for place in places])
        padded = pad_sequence(places, True), sizes, pad_sequence(targets, True, PAD)
        return Batch(*padded, examples, answers)

    @property
    def task(self) -> points.Tours | points.Hulls | points.Triangulations:
        return points.TASKS[self.config.task]

    def model(self) -> Pointer:
        return Pointer(self.config)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        start = torch.full_like(batch.target[:, :1], END)
        prefix = torch.cat([start, batch.target[:, :-1].clamp(min=END)], 1)
        return batch.points, batch.sizes, prefix

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        flat, target = logits.flatten(0, 1), batch.target.flatten()
        nll = cross_entropy(flat, target, ignore_index=PAD, reduction="sum")
        return Mean.of(nll, (target != PAD).sum())

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        sums = self.task.judge(batch.problems, self.found(model, batch), batch.answers)
        return {name: Mean(torch.tensor(pair, dtype=torch.float64)) for name, pair in sums.items()}

    def found(self, model: nn.Module, batch: Batch) -> list[Numbers]:
        """The model's answers, from 0."""
        assert isinstance(model, Pointer)
        sizes = batch.sizes.to(model.end.device)
        (hidden, cell), memory = model.encode(batch.points.to(model.end), sizes)
        state = hidden, cell, *model.rules.begin(memory[0][..., 0])
        longest = 6 * sizes  # n points have fewer than 2 n triangles
        found = Beam(self.config.beam, END, END).search(model.step, state, memory, longest)
        return [np.array(tokens, dtype=int) - 1 for tokens in found.tokens]

    def samples(
        self, model: nn.Module, examples: list[Problem]
    ) -> tuple[list[str], list[list[str]]]:
        batch = self.collate(examples)
        rows = zip(examples, self.found(model, batch), batch.answers, strict=True)
        return ["points", "answer", "right"], [
            [str(len(p.points)), self.task.told(p, guess), self.task.told(p, truth)]
            for p, guess, truth in rows
        ]

    def answer(self, model: nn.Module, line: str) -> str:
        problem = points.typed(line)
        return self.task.told(problem, self.found(model, self.collate([problem]))[0])


def picked(embedded: Tensor, tokens: Tensor) -> Tensor:
    """What stands at each of `tokens` (batch, length)."""
    return embedded.gather(1, tokens.unsqueeze(2).expand(-1, -1, embedded.shape[2]))
