"""Energies of words of 0s and 1s, and what follows: all words, Gibbs sweeps, modes, counts.

terms = fields, couplings, potential    # (cells), (cells, cells) above its diagonal, (cells + 1)
energy(words, terms)                    # −Σ hᵢsᵢ − Σ Jᵢⱼsᵢsⱼ − V(K) of each word: (n)
logits(terms).logsumexp((0, 1))         # log Z, all words counted
sweep(words, terms, rng)                # draws each cell once more, in place
"""

from __future__ import annotations

import torch
from torch import Tensor

HELD = 2**24  # numbers: words times pairs that are held at a time

Terms = tuple[Tensor, Tensor, Tensor]  # h (cells), J (cells, cells) above its diagonal, V (cells+1)


def energy(words: Tensor, terms: Terms) -> Tensor:
    """What is −log P − log Z of each word: (n)."""
    h, couplings, potential = terms
    pairs = ((words @ couplings) * words).sum(1)
    return -(words @ h) - pairs - potential[words.sum(1).long()]


def logits(terms: Terms) -> Tensor:
    """−energies of all words, by their first and their last half: (2 ** half, 2 ** rest).

    So they are one product of matrices: 2 ** 20 words take as long as 2 ** 10 times ten cells.
    """
    h, couplings, potential = terms
    half, none = len(h) // 2, torch.zeros_like(potential)
    first, last = every(half, h), every(len(h) - half, h)
    left = -energy(first, (h[:half], couplings[:half, :half], none))
    right = -energy(last, (h[half:], couplings[half:, half:], none))
    count = (first.sum(1)[:, None] + last.sum(1)).long()
    return left[:, None] + right + first @ couplings[:half, half:] @ last.T + potential[count]


def every(cells: int, like: Tensor) -> Tensor:
    """All words, in the order of the numbers that they are in binary: (2 ** cells, cells)."""
    bits = torch.arange(cells - 1, -1, -1, device=like.device)
    return (torch.arange(2**cells, device=like.device)[:, None] >> bits & 1).to(like.dtype)


def number(words: Tensor) -> Tensor:
    """Where each stands among all: (n), of at most 24 cells, which fp32 holds."""
    return (words.float() @ 2 ** torch.arange(words.shape[1] - 1, -1, -1).float()).long()


def between(start: Terms, end: Terms, share: float) -> Terms:
    """The terms at that share of the way."""
    h, couplings, potential = (a + (b - a) * share for a, b in zip(start, end, strict=True))
    return h, couplings, potential


def sweep(words: Tensor, terms: Terms, rng: torch.Generator) -> None:
    """Draw each cell of every word once more, given the others (Gibbs sampling), in place."""
    h, couplings, potential = terms
    couplings, count = couplings + couplings.T, words.sum(1).long()
    luck = torch.rand(words.T.shape, generator=rng, device=words.device, dtype=words.dtype)
    gains = potential.diff()  # of one more that fires
    for cell in range(len(h)):
        others = count - words[:, cell].long()
        field = h[cell] + words @ couplings[cell] + gains[others]
        words[:, cell] = (luck[cell] < field.sigmoid()).to(words.dtype)
        count = others + words[:, cell].long()


def descent(words: Tensor, terms: Terms) -> Tensor:
    """The metastable mode of each word: where the best single flips, one by one, come to an end."""
    h, couplings, potential = terms
    couplings, words = couplings + couplings.T, words.clone()
    while True:
        count, flips = words.sum(1, keepdim=True).long(), 1 - 2 * words
        change = potential[count + flips.long()] - potential[count]
        gain, cell = (flips * (h + words @ couplings) + change).max(1)
        rows = torch.nonzero(gain > 1e-9)[:, 0]  # rounding alone is no reason
        if not len(rows):
            return words
        words[rows, cell[rows]] = 1 - words[rows, cell[rows]]


def counts(words: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Summed shares by K (cells + 1), and of the words where three cells fire, for all three."""
    cells = words.shape[1]
    row, column = torch.triu_indices(cells, cells, 1, device=words.device)
    by_count = shares.new_zeros(cells + 1).index_add(0, words.sum(1).long(), shares)
    threes, rows = words.new_zeros(len(row), cells), HELD // max(1, len(row))
    for part, share in zip(torch.split(words, rows), torch.split(shares, rows), strict=True):
        threes += (part[:, row] * part[:, column] * share[:, None]).T @ part
    later = torch.arange(cells, device=words.device) > column[:, None]
    return by_count, threes[later]
