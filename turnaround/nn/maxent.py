"""Maximum entropy laws of words of 0s and 1s: energies, log Z counted or sampled, modes.

    model = Maxent(rates, "k-pairwise", exact=20, chains=1000, sweeps=2)
    energies, log_z, _ = model(words)       # words (n, cells); their log P is −energy − log Z
    model.moments                           # entropy, P(K) and triplets that the model expects

Up to `exact` cells all words are counted. Beyond, in training, log Z has a stand-in: minus the mean
energy of Gibbs chains that go on from step to step. Its value means nothing, its gradient is that
of log Z. When judged, log Z is estimated by annealed importance sampling.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

HELD = 2**24  # numbers: words times pairs that are held at a time
UNSEEN = -8.0  # where V of a K that never was begins: −∞ would be its end
STEPS = 200  # of temperature, from the independent model to this one

Terms = tuple[Tensor, Tensor, Tensor]  # h (cells), J (cells, cells) above its diagonal, V (cells+1)


class Maxent(nn.Module):
    """−E(s) = Σ hᵢsᵢ + Σ Jᵢⱼsᵢsⱼ + V(K), without J and V in `independent`, without V in `pairwise`.

    Constants and what is linear or quadratic in K are in Z, h and J: V(0) = V(1) = V(2) = 0.
    """

    alone: Tensor  # the fields of the independent model
    chains: Tensor  # words: (chains, cells)
    moves: Tensor  # of the chains so far: their random seed

    def __init__(self, rates: Tensor, terms: str, exact: int, chains: int, sweeps: int) -> None:
        super().__init__()
        cells = len(rates)
        self.counted, self.sweeps = cells <= exact, sweeps
        self.register_buffer("alone", rates.logit())
        self.h = nn.Parameter(rates.logit())
        self.j = self.v = None
        if terms != "independent":
            self.j = nn.Parameter(torch.zeros(cells * (cells - 1) // 2))
        if terms == "k-pairwise":
            self.v = nn.Parameter(torch.zeros(cells - 2))
        if not self.counted:
            words = torch.rand(chains, cells) < rates
            self.register_buffer("chains", words.to(rates.dtype))
            self.register_buffer("moves", torch.tensor(0))

    def begin(self, words: Tensor) -> None:
        """Start V low where no word of the data (n, cells) has that K."""
        if self.v is not None:
            never = words.sum(1).bincount(minlength=words.shape[1] + 1)[3:] == 0
            self.v.data[never] = UNSEEN

    def independent(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """−log P of each word (n) in the independent model, and the entropy of that."""
        free = softplus(self.alone)  # log Z of each cell by itself
        entropy = (free - self.alone.sigmoid() * self.alone).sum()
        return free.sum() - words @ self.alone, entropy

    def terms(self) -> Terms:
        """The parameters, as energies want them."""
        h, cells = self.h, len(self.h)
        couplings, potential = h.new_zeros(cells**2), h.new_zeros(cells + 1)
        if self.j is not None:
            row, column = torch.triu_indices(cells, cells, 1, device=h.device)
            couplings = couplings.index_copy(0, row * cells + column, self.j)
        if self.v is not None:
            potential = torch.cat([potential[:3], self.v])
        return h, couplings.view(cells, cells), potential

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Energies (n), log Z or its stand-in, and the sum of the squares of V."""
        terms = self.terms()
        return energy(words, terms), self.weight(terms), terms[2].square().sum()

    def weight(self, terms: Terms) -> Tensor:
        """log Z; while training one that has its gradient."""
        if self.counted:
            return logits(terms).logsumexp((0, 1))
        if not self.training:
            return self.estimate
        with torch.no_grad():  # the same moves on every device, whatever it reads
            self.moves += 1
            rng = torch.Generator(self.chains.device).manual_seed(int(self.moves))
            for _ in range(self.sweeps):
                sweep(self.chains, terms, rng)
        return -energy(self.chains, terms).mean()

    def train(self, mode: bool = True) -> Maxent:
        """What was kept of these parameters is forgotten."""
        for name in ("population", "moments", "estimate"):
            self.__dict__.pop(name, None)
        return super().train(mode)

    @functools.cached_property
    def estimate(self) -> Tensor:
        """log Z by annealed importance sampling from the independent model (Neal, 2001)."""
        target = self.terms()
        now = start = (self.alone, torch.zeros_like(target[1]), torch.zeros_like(target[2]))
        rng = torch.Generator(self.alone.device).manual_seed(0)
        words = torch.rand(self.chains.shape, generator=rng, device=self.alone.device)
        words = (words < self.alone.sigmoid()).to(self.alone.dtype)
        gained = words.new_zeros(len(words))
        for step in range(1, STEPS + 1):
            before, now = now, between(start, target, step / STEPS)
            gained += energy(words, before) - energy(words, now)
            sweep(words, now, rng)
        return softplus(self.alone).sum() + gained.logsumexp(0) - math.log(len(words))

    @functools.cached_property
    def population(self) -> tuple[Tensor, Tensor]:
        """Words and the probability that each stands for: (words, cells), (words)."""
        if not self.counted:
            return self.chains, self.chains.new_full((len(self.chains),), 1 / len(self.chains))
        scores = logits(self.terms())
        return every(len(self.h), self.h), (scores - scores.logsumexp((0, 1))).exp().flatten()

    @functools.cached_property
    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """The entropy in nats, P(K) and the probability that three cells fire, for all three."""
        words, shares = self.population
        terms = self.terms()
        entropy = self.weight(terms) + (shares * energy(words, terms)).sum()
        return entropy, *counts(words, shares)


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
