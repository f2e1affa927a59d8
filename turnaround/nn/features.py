"""A model whose every output is a sum over features, numbers and words, and can be told apart.

    table = nn.Embedding(2**16, 1 + width)           # of width 0: without pairs of features
    model = Additive(seen, ["price"], 8, table)      # seen (rows, features): for means and bins
    words = hashed(["shop"], [["red"]], 2**16)       # their rows in the table
    model(numbers, words)                            # (…)
    parts = model.parts(numbers, words)              # (…, features), which add up to that
    account(parts[0], ["price", "shop"], most=5)     # "1.20 = price +0.90 others +0.30"

Bins and words are rows of one table, named by a hash: some share theirs with another (the hashing
trick: Weinberger et al., 2009). A number that is 0 has a bin of its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad


class Additive(nn.Module):
    """A number counts by itself and by its bin, a word by its row, and all of them by pairs.

    Pairs are those of a factorization machine (Rendle, 2010).
    """

    mean: Tensor  # of each number
    spread: Tensor
    edges: Tensor  # of its bins: (numbers, bins - 1)
    seats: Tensor  # rows of its bins: (numbers, bins + 1)

    def __init__(
        self,
        seen: Tensor,
        names: Sequence[str],
        bins: int,
        table: nn.Embedding,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        mean, spread = standard(seen)
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("edges", edges(seen, bins))
        self.register_buffer("seats", seats(names, bins, table.num_embeddings))
        self.slope = nn.Parameter(torch.zeros(len(names)))
        self.table = table  # the first of its columns counts by itself, the others in pairs
        nn.init.normal_(table.weight, std=0.05)
        nn.init.zeros_(table.weight.data[:, 0])
        self.dropout = nn.Dropout(dropout)

    def forward(self, numbers: Tensor, words: Tensor) -> Tensor:
        """Of numbers (…, numbers) and rows of words (…, words): (…)."""
        return self.parts(numbers, words).sum(-1)

    def parts(self, numbers: Tensor, words: Tensor) -> Tensor:
        """What each feature adds: (…, numbers + words)."""
        features = torch.arange(numbers.shape[-1], device=numbers.device)
        rows = self.seats[features, binned(numbers, self.edges)]
        table = self.table(torch.cat([rows, words], -1))
        straight = (numbers - self.mean) / self.spread * self.slope
        bent = self.dropout(table[..., 0] + shares(table[..., 1:]))
        parts: Tensor = bent + pad(straight, (0, words.shape[-1]))
        return parts


def standard(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature, 1 where it never changes: (features) each."""
    mean = seen.mean(0)
    spread = seen.std(0, correction=0) if len(mean) else mean  # of no feature std warns
    return mean, spread.where(spread > 0, 1.0)


def edges(seen: Tensor, bins: int) -> Tensor:
    """Between bins that what is not 0 fills alike: (features, bins - 1)."""
    shares = torch.arange(1, bins, dtype=seen.dtype) / bins
    filled = [column[column != 0] for column in seen.T]
    if not filled:
        return seen.new_zeros(0, bins - 1)
    none = torch.full_like(shares, torch.inf)
    return torch.stack([quantiles(each, shares) if len(each) else none for each in filled])


def quantiles(values: Tensor, shares: Tensor) -> Tensor:
    """What torch.quantile says, to the bit, which takes no more than 2**24 values."""
    ordered, places = values.sort().values, shares * (len(values) - 1)
    below = places.long()
    return ordered[below].lerp(ordered[places.ceil().long()], places - below)


def binned(numbers: Tensor, limits: Tensor) -> Tensor:
    """The bin of each number, 0 that of 0: (…, features)."""
    return (numbers[..., None] >= limits).sum(-1).add(1).where(numbers != 0, 0)


def seats(names: Sequence[str], bins: int, rows: int) -> Tensor:
    """Rows of the bins of numbers: (features, bins + 1)."""
    found = [row(f"{name} {i}", rows) for name in names for i in range(bins + 1)]
    return torch.tensor(found, dtype=torch.long).view(len(names), bins + 1)


def hashed(names: Sequence[str], words: Sequence[Sequence[str]], rows: int) -> Tensor:
    """Rows of the words: (rows, features)."""
    keys = [f"{name} {word}" for each in words for name, word in zip(names, each, strict=True)]
    found = [row(key, rows) for key in keys]
    return torch.tensor(found, dtype=torch.long).view(len(words), len(names))


def row(word: str, rows: int) -> int:
    """Where a word's row in the table is."""
    return zlib.crc32(word.encode()) % rows


def shares(vectors: Tensor) -> Tensor:
    """Of the products of all pairs (…, features, width) what falls to each: (…, features).

    Of what a pair adds each of the two has half, which is its Shapley value.
    """
    return (vectors * (vectors.sum(-2, keepdim=True) - vectors)).sum(-1) / 2


def account(parts: Tensor, names: Sequence[str], most: int = 5) -> str:
    """A sum, and at most so many of its heaviest parts (features) with their names."""
    heavy = parts.abs().argsort(descending=True)[:most].tolist()
    rest = float(parts.sum() - parts[heavy].sum())
    told = [f"{names[i]} {parts[i]:+.2f}" for i in heavy if parts[i]]
    return f"{parts.sum():.2f} = {' '.join(told)} others {rest:+.2f}"
