"""Additive attention: where in the source to look (Bahdanau, Cho & Bengio, 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Weights softmax(vᵀ tanh(W query + U key)) over keys, for many queries at once.

    The half `U key` does not depend on the query: `keys` makes it once per sentence, which saves
    most of the work when a decoder asks one token at a time.
    """

    def __init__(self, query: int, key: int, width: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(query, width, bias=False)
        self.of_key = nn.Linear(key, width)
        self.energy = nn.Linear(width, 1, bias=False)

    def keys(self, annotations: Tensor) -> Tensor:
        """What queries are compared with: (batch, source, width)."""
        projected: Tensor = self.of_key(annotations)
        return projected

    def forward(self, queries: Tensor, keys: Tensor, annotations: Tensor, absent: Tensor) -> Tensor:
        """The mean annotation under each query's weights: (batch, target, key).

        `queries` is (batch, target, query), `annotations` (batch, source, key); `absent`
        (batch, source) is true where there is only padding.
        """
        energies = self.energies(queries, keys).masked_fill(absent.unsqueeze(1), -torch.inf)
        mean: Tensor = energies.softmax(2) @ annotations
        return mean

    def energies(self, queries: Tensor, keys: Tensor) -> Tensor:
        """How well each key answers each query, before any softmax: (batch, target, source)."""
        both = torch.tanh(self.of_query(queries).unsqueeze(2) + keys.unsqueeze(1))
        energies: Tensor = self.energy(both).squeeze(3)
        return energies
