"""A recipe for tests: add neighbours modulo ten, by a small transformer, in rows of one length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from turnaround.engine import Mean, Recipe, Tally

HIDDEN = -100  # a place that is no target


@dataclass(frozen=True)
class Config:
    width: int = 8
    heads: int = 4
    layers: int = 4
    length: int = 6
    dropout: float = 0.0
    ragged: bool = False  # later batches are shorter


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width), the same again."""
        seen = self.norm(x)
        parts = (m(seen).unflatten(2, (self.heads, -1)) for m in (self.query, self.key, self.value))
        mixed = scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts))
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(gelu(self.up(x)))


class Embed(nn.Module):
    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.digits = nn.Embedding(10, width)
        self.places = nn.Parameter(torch.randn(length, width))
        self.drop = nn.Dropout(dropout)
        self.register_buffer("scale", torch.tensor(0.5), persistent=False)

    def forward(self, digits: Tensor) -> Tensor:
        """(batch, length) → (batch, length, width)."""
        return self.drop(self.digits(digits) * self.scale + self.places[: digits.shape[1]])


class Adder(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed = Embed(config.width, config.length, config.dropout)
        blocks = [Block(config.width, config.heads) for _ in range(config.layers)]
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Linear(config.width, 10)

    def forward(self, digits: Tensor) -> Tensor:
        """Logits of each place's sum with the next: (batch, length, 10)."""
        x = self.embed(digits)
        for block in self.blocks:
            x = block(x)
        return self.out(x)


class Tower(Recipe[tuple[Tensor, Tensor]]):
    config: Config
    cuts = {  # noqa: RUF012  # as recipes write it
        "blocks.*.query": "column",
        "blocks.*.key": "column",
        "blocks.*.value": "column",
        "blocks.*.out": "row",
        "blocks.*.up": "column",
        "blocks.*.down": "row",
    }
    stream = "blocks.*"

    def data(self, split: str) -> list[tuple[Tensor, Tensor]]:
        rng = torch.Generator().manual_seed(["train", "valid", "test"].index(split))
        rows = torch.randint(
            0, 10, (96 if split == "train" else 15, self.config.length), generator=rng
        )
        hidden = torch.rand(rows.shape, generator=rng) < 0.3  # so that pieces differ in targets
        sums = (rows + rows.roll(-1, 1)) % 10
        return list(zip(rows, sums.masked_fill(hidden, HIDDEN), strict=True))

    def collate(self, examples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        digits, sums = (torch.stack(list(column)) for column in zip(*examples, strict=True))
        short = self.config.ragged and int(digits[0, 0]) < 5
        return (digits[:, :-1], sums[:, :-1]) if short else (digits, sums)

    def model(self) -> nn.Module:
        return Adder(self.config)

    def stages(self, model: nn.Module) -> list[nn.Module]:
        return [model.embed, *model.blocks, model.out]  # type: ignore[list-item, misc]  # its own model

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor]:
        return (batch[0],)

    def loss(self, logits: Tensor, batch: tuple[Tensor, Tensor]) -> Mean:
        nll = cross_entropy(logits.mT, batch[1], ignore_index=HIDDEN, reduction="sum")
        return Mean.of(nll, (batch[1] != HIDDEN).sum())

    def score(
        self, model: nn.Module, batch: tuple[Tensor, Tensor], logits: Tensor
    ) -> dict[str, Tally]:
        right = logits.argmax(-1) == batch[1]
        return {"right": Mean.of(right.sum(), (batch[1] != HIDDEN).sum())}
