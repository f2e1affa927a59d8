"""Weighted words that go with a law of words as it changes, and its log Z: no chain to wait for.

    population = Population(rates, shares, size=20_000, sweeps=3)
    population.follow(terms, least=0.5)     # if the words are too far from these terms: move them
    log_z, weights = population.seen(terms)    # differentiable; the weights sum to 1

The first words are exact draws: K from `shares`, then which cells fire as if they were independent
given K. Other terms weigh the same words anew (histogram reweighting: Ferrenberg and Swendsen,
1988; Broderick et al., 2007) as long as the weights are even; else the words are drawn again by
their weights and moved by Gibbs sweeps, at as many temperatures between as it takes (annealed
importance sampling with resampling: Neal, 2001; Del Moral et al., 2006). The words always have
`shares` of K, an umbrella that keeps rare K in sight and lets the sweeps cross from few to many.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from turnaround.nn.energies import Terms, energy, sweep

NEAREST = 1 / 64  # of the way to other terms is always gone


class Population(nn.Module):
    """`size` words; the same on every device, whatever its seed."""

    words: Tensor  # (size, cells), uint8
    h: Tensor  # here and below: the terms that the words were drawn at
    j: Tensor
    v: Tensor
    log_z: Tensor  # of those
    shares: Tensor  # of each K: (cells + 1)
    moves: Tensor  # so far: with `seed` what is random

    def __init__(
        self, rates: Tensor, shares: Tensor, size: int, sweeps: int, seed: int = 0
    ) -> None:
        super().__init__()
        self.sweeps, self.seed = sweeps, seed
        h, tails = rates.logit(), symmetric(rates.logit())
        rng = torch.Generator(rates.device).manual_seed(seed)
        counts = evenly(shares.log(), size, rng)
        for name, value in {
            "words": given(counts, h, tails, rng),
            "h": h,
            "j": h.new_zeros(len(h), len(h)),
            "v": shares.log() - tails[0],
            "log_z": h.new_zeros(()),
            "shares": shares,
            "moves": torch.tensor(0, device=h.device),
        }.items():
            self.register_buffer(name, value)

    def gains(self, terms: Terms) -> Tensor:
        """How much lower the energy of each word is under these terms than where it was drawn."""
        words = self.words.to(self.h)
        return energy(words, (self.h, self.j, self.v)) - energy(words, terms)

    def seen(self, terms: Terms) -> tuple[Tensor, Tensor]:
        """log Z of these terms, and what each word counts for under them: (size)."""
        gains = self.gains(terms)
        return self.log_z + gains.logsumexp(0) - math.log(len(gains)), gains.softmax(0)

    @torch.no_grad()
    def follow(self, terms: Terms, least: float) -> None:
        """Move the words until they are worth `least` of their number under these terms."""
        counts = self.words.sum(1).long()
        while self.worth(gains := self.gains(terms), counts) < least:
            low, high = NEAREST, 1.0
            for _ in range(10):
                share = (low + high) / 2
                far = self.worth(share * gains, counts) < least
                low, high = (low, share) if far else (share, high)
            self._move(low * gains, counts, terms, low)
            counts = self.words.sum(1).long()

    def worth(self, gains: Tensor, counts: Tensor) -> float:
        """How even these make the words, if V then gives K its shares: 1 where all count alike."""
        weights = (gains + self.umbrella(gains, counts)[counts]).softmax(0)
        return float(1 / (weights.square().sum() * len(weights)))

    def umbrella(self, gains: Tensor, counts: Tensor) -> Tensor:
        """What V needs besides for K to have its shares; where none has K, as the next smaller."""
        none = torch.full_like(self.shares, -math.inf)
        most = none.scatter_reduce(0, counts, gains, "amax")
        mass = torch.zeros_like(none).index_add(0, counts, (gains - most[counts]).exp())
        found = torch.where(mass > 0, self.shares.log() - most - mass.log(), 0.0)
        places = torch.arange(len(none), device=none.device)
        return found[torch.where(mass > 0, places, 0).cummax(0).values]

    def _move(self, gains: Tensor, counts: Tensor, terms: Terms, share: float) -> None:
        lifted = self.umbrella(gains, counts)
        gains = gains + lifted[counts]
        self.moves += 1
        rng = torch.Generator(self.h.device).manual_seed(self.seed + 2 * int(self.moves))
        for mine, theirs in zip((self.h, self.j, self.v), terms, strict=True):
            mine.lerp_(theirs, share)
        self.v += lifted
        self.log_z += gains.logsumexp(0) - math.log(len(gains))
        words = self.words[evenly(gains, len(gains), rng)].to(self.h)
        for _ in range(self.sweeps):
            sweep(words, (self.h, self.j, self.v), rng)
        self.words.copy_(words)


def evenly(logs: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Which to take for their shares to be as exp(logs), with one random number: (size)."""
    luck = torch.rand((), generator=rng, device=logs.device, dtype=logs.dtype)
    marks = (torch.arange(size, device=logs.device) + luck) / size
    return torch.searchsorted(logs.softmax(0).cumsum(0), marks).clamp(max=len(logs) - 1)


def symmetric(h: Tensor) -> Tensor:
    """log of the sum, over the ways in which K of the cells from i on fire, of exp(Σ h): [i, K]."""
    cells = len(h)
    sums = h.new_full((cells + 1, cells + 1), -math.inf)
    sums[:, 0] = 0
    for cell in reversed(range(cells)):
        sums[cell, 1:] = torch.logaddexp(sums[cell + 1, 1:], h[cell] + sums[cell + 1, :-1])
    return sums


def given(counts: Tensor, h: Tensor, tails: Tensor, rng: torch.Generator) -> Tensor:
    """Words of independent cells, each with that many that fire: (n, cells), uint8."""
    left, words = counts.clone(), counts.new_zeros(len(counts), len(h), dtype=torch.uint8)
    for cell in range(len(h)):
        others = tails[cell + 1][(left - 1).clamp(min=0)]
        chance = (h[cell] + others - tails[cell][left]).exp() * (left > 0)
        luck = torch.rand(len(left), generator=rng, device=h.device, dtype=h.dtype)
        words[:, cell] = luck < chance
        left -= words[:, cell].long()
    return words
