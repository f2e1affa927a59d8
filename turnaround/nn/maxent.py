"""Maximum entropy laws of words of 0s and 1s: their parameters, and log Z counted or sampled.

    model = Maxent(rates, "k-pairwise", exact=20, size=100_000, sweeps=3)
    model.begin(words)                      # (n, cells): P(K) is theirs from the first step on
    energies, log_z, _ = model(words)       # their log P is −energy − log Z
    model.moments                           # entropy, P(K) and triplets that the model expects

Up to `exact` cells all words are counted. Beyond, a population of words goes with the parameters
(turnaround.nn.population) and says what log Z is and its gradient, the same at the same place, so
that a line search finds its way. When judged, new words are drawn, which have not been fitted to.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from turnaround.nn.energies import Terms, counts, energy, every, logits
from turnaround.nn.population import Population, symmetric

UNSEEN = 0.5  # bins: where V of a K that never was begins; halved for each K beyond the most
EVEN, EVENLY = 0.5, 0.9  # what words are to be worth of their number: in training, when judged


class Maxent(nn.Module):
    """−E(s) = Σ hᵢsᵢ + Σ Jᵢⱼsᵢsⱼ + V(K), without J and V in `independent`, without V in `pairwise`.

    Constants and what is linear or quadratic in K are in Z, h and J: V(0) = V(1) = V(2) = 0.
    """

    alone: Tensor  # the fields of the independent model

    def __init__(self, rates: Tensor, terms: str, exact: int, size: int, sweeps: int) -> None:
        super().__init__()
        cells = len(rates)
        self.counted, self.size, self.sweeps = cells <= exact, size, sweeps
        self.register_buffer("alone", rates.logit())
        self.h = nn.Parameter(rates.logit())
        self.j = self.v = None
        if terms != "independent":
            self.j = nn.Parameter(torch.zeros(cells * (cells - 1) // 2))
        if terms == "k-pairwise":
            self.v = nn.Parameter(torch.zeros(cells - 2))
        self.drawn: Population | None = None

    def begin(self, words: Tensor) -> None:
        """Start where K is distributed as in these words (n, cells), if the model has V."""
        rates, cells = self.alone.sigmoid(), words.shape[1]
        seen = words.sum(1).long().bincount(minlength=cells + 1).to(rates)
        beyond = torch.arange(1.0, cells + 2) - len(seen[: int(words.sum(1).max()) + 1])
        shares = torch.where(seen > 0, seen, UNSEEN * 0.5 ** beyond.clamp(min=0)).to(rates)
        shares = shares / shares.sum()
        if not self.counted and self.j is not None:
            umbrella = (shares + 1 / (cells + 1)) / 2
            self.drawn = Population(rates, umbrella, self.size, self.sweeps)
        if self.v is not None and self.j is not None:
            potential = shares.log() - symmetric(self.alone)[0]
            zero, line, square = potential[0], potential[1] - potential[0], potential[:3].diff(n=2)
            number = torch.arange(cells + 1).to(rates)
            potential = potential - zero - line * number - square * number * (number - 1) / 2
            self.h.data += line
            self.j.data += square
            self.v.data.copy_(potential[3:])

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
        """Energies (n), log Z, and the sum of the squares of V."""
        terms = self.terms()
        return energy(words, terms), self.weight(terms), terms[2].square().sum()

    def weight(self, terms: Terms) -> Tensor:
        """log Z: counted, or as the words say that are drawn."""
        if self.j is None:
            return softplus(terms[0]).sum()
        if self.counted:
            return logits(terms).logsumexp((0, 1))
        if not self.training:
            return self.judged[0]
        assert self.drawn is not None
        self.drawn.follow(terms, EVEN)
        return self.drawn.seen(terms)[0]

    def train(self, mode: bool = True) -> Maxent:
        """What was kept of these parameters is forgotten."""
        for name in ("judged", "population", "moments"):
            self.__dict__.pop(name, None)
        return super().train(mode)

    @functools.cached_property
    def judged(self) -> tuple[Tensor, Tensor, Tensor]:
        """log Z from words that are drawn anew, these, and the probability each stands for."""
        rates, even = self.alone.sigmoid(), self.alone.new_full((len(self.alone) + 1,), 1.0)
        shares = even / len(even) if self.drawn is None else self.drawn.shares
        fresh = Population(rates, shares, self.size, self.sweeps, seed=1).to(rates.device)
        fresh.follow(self.terms(), EVENLY)
        log_z, chances = fresh.seen(self.terms())
        return log_z, fresh.words.to(rates), chances

    @functools.cached_property
    def population(self) -> tuple[Tensor, Tensor]:
        """Words and the probability that each stands for: (words, cells), (words)."""
        if not self.counted:
            return self.judged[1:]
        scores = logits(self.terms())
        return every(len(self.h), self.h), (scores - scores.logsumexp((0, 1))).exp().flatten()

    @functools.cached_property
    def moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """The entropy in nats, P(K) and the probability that three cells fire, for all three."""
        words, shares = self.population
        terms = self.terms()
        entropy = self.weight(terms) + (shares * energy(words, terms)).sum()
        return entropy, *counts(words, shares)
