"""Beam search: the likeliest output of a model that writes one token at a time.

    found = search(step, state, memory, width=4, longest=50, start=1, end=2)
    found.tokens[0], found.log_probs[0]

At each step the `width` likeliest prefixes of every sentence are extended by every token. One that
ends leaves the beam and is kept as complete; its place goes to the next likeliest (Sutskever,
Vinyals & Le, 2014). No length is preferred. Log-probabilities only fall, so a sentence is done as
soon as a complete output is likelier than all its prefixes. A width of 1 is greedy decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Parts = tuple[Tensor, ...]
# Last tokens (sentences, width), state (sentences, width, …), memory (sentences, …)
# → log-probabilities of the next token (sentences, width, tokens), next state.
Step = Callable[[Tensor, Parts, Parts], tuple[Tensor, Parts]]


class Found(NamedTuple):
    """For each sentence its likeliest output, without the end token, and the log-probability."""

    tokens: list[list[int]]
    log_probs: list[float]


@torch.no_grad()
def search(
    step: Step, state: Parts, memory: Parts, *, width: int, longest: int, start: int, end: int
) -> Found:
    """The likeliest output for each row of `state` and `memory`.

    What has not ended after `longest` tokens is cut there.
    """
    beam = _Beam(len(state[0]), width, start, state[0].device)
    state = tuple(part.unsqueeze(1).expand(-1, width, *part.shape[1:]) for part in state)
    for _ in range(longest):
        log_probs, state = step(beam.prefixes[..., -1], state, memory)
        left, parents = beam.extend(log_probs, end)
        if not len(left):
            break
        state = tuple(part[left.unsqueeze(1), parents] for part in state)
        memory = tuple(part[left] for part in memory)
    beam.cut()
    return Found(beam.tokens, beam.log_probs)


class _Beam:
    """The prefixes of the sentences that are not done, and the best output of every sentence."""

    def __init__(self, sentences: int, width: int, start: int, device: torch.device) -> None:
        self.tokens: list[list[int]] = [[] for _ in range(sentences)]
        self.log_probs = [-torch.inf] * sentences
        self.names = torch.arange(sentences, device=device)  # of the sentences that are not done
        self.best = torch.full((sentences,), -torch.inf, device=device)
        self.prefixes = torch.full((sentences, width, 1), start, device=device)
        self.scores = torch.full((sentences, width), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # all prefixes are equal at first: one of them counts

    def extend(self, log_probs: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Go on by one token: the rows of the sentences left, and each prefix's parent there."""
        width, vocabulary = log_probs.shape[1:]
        totals = (self.scores.unsqueeze(2) + log_probs).flatten(1)
        # Each prefix can end in one way only, so among twice the width enough go on.
        scores, places = totals.topk(min(2 * width, width * vocabulary))
        parents, tokens = places // vocabulary, places % vocabulary
        ended = tokens == end
        self._complete(scores[:, :width].masked_fill(~ended[:, :width], -torch.inf), parents)
        alive = ended.byte().argsort(dim=1, stable=True)[:, :width]
        scores = scores.masked_fill(ended, -torch.inf).gather(1, alive)
        left = (scores[:, 0] > self.best).nonzero().flatten()
        parents, tokens = parents.gather(1, alive)[left], tokens.gather(1, alive)[left]
        grown = [self.prefixes[left.unsqueeze(1), parents], tokens.unsqueeze(2)]
        self.names, self.best, self.scores = self.names[left], self.best[left], scores[left]
        self.prefixes = torch.cat(grown, 2)
        return left, parents

    def cut(self) -> None:
        """Take the likeliest prefix of each sentence of which nothing is complete."""
        self._complete(self.scores.masked_fill((self.best > -torch.inf).unsqueeze(1), -torch.inf))

    def _complete(self, scores: Tensor, parents: Tensor | None = None) -> None:
        """Keep the best of these prefixes where it is better than what was complete before."""
        score, column = scores.max(1)
        better = (score > self.best).nonzero().flatten()
        column = column[better] if parents is None else parents[better, column[better]]
        outputs = self.prefixes[better, column, 1:].tolist()
        kept = zip(self.names[better].tolist(), outputs, score[better].tolist(), strict=True)
        for name, output, log_prob in kept:
            self.tokens[name], self.log_probs[name] = output, log_prob
        self.best = torch.maximum(self.best, score)
