"""Beam search: the likeliest output of a model that writes one token at a time.

    found = Beam(width=4, start=1, end=2).search(step, state, memory, longest)
    found.tokens[0], found.log_probs[0]

At each step the `width` likeliest prefixes of every sentence are extended by every token. One that
ends leaves the beam and is kept as complete; its place goes to the next likeliest (Sutskever,
Vinyals & Le, 2014). No length is preferred. Log-probabilities only fall, so a sentence is done as
soon as a complete output is likelier than all its prefixes. A width of 1 is greedy decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Rules(Protocol):
    """What may follow what: marks belong to a prefix, (sentences, width, …), and grow with it."""

    def after(self, last: Tensor, marks: Parts) -> Parts:
        """The marks once the last tokens are written."""

    def allowed(self, last: Tensor, marks: Parts) -> Tensor:
        """Which tokens may come next: (sentences, width, tokens)."""


def ruled(step: Step, rules: Rules, kept: int) -> Step:
    """The same step, but nothing that is not allowed; its state ends in so many marks."""

    def obey(last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        marks = rules.after(last, state[-kept:])
        log_probs, state = step(last, state[:-kept], memory)
        forbidden = ~rules.allowed(last, marks)
        return log_probs.masked_fill(forbidden, -torch.inf), (*state, *marks)

    return obey


@dataclass(frozen=True)
class Beam:
    """How wide to search, and the tokens that every output starts and ends with."""

    width: int
    start: int
    end: int

    @torch.no_grad()
    def search(self, step: Step, state: Parts, memory: Parts, longest: Tensor) -> Found:
        """The likeliest output for each row of `state` and `memory`.

        State belongs to a prefix and follows it; memory belongs to a sentence, is the same for
        all its prefixes and is not copied for each. What has not ended after `longest` tokens,
        one number for each sentence, is cut there.
        """
        search = _Search(self, longest)
        state = tuple(part.unsqueeze(1).expand(-1, self.width, *part.shape[1:]) for part in state)
        while len(search.names):
            log_probs, state = step(search.prefixes[..., -1], state, memory)
            left, parents = search.extend(log_probs)
            state = tuple(part[left.unsqueeze(1), parents] for part in state)
            memory = tuple(part[left] for part in memory)
        return Found(search.outputs, search.log_probs)


class _Search:
    """The prefixes of the sentences that are not done, and the best output of every sentence."""

    def __init__(self, beam: Beam, longest: Tensor) -> None:
        sentences, device = len(longest), longest.device
        self.width, self.end, self.longest = beam.width, beam.end, longest
        self.outputs: list[list[int]] = [[] for _ in range(sentences)]
        self.log_probs = [-torch.inf] * sentences
        self.names = torch.arange(sentences, device=device)  # of the sentences that are not done
        self.best = torch.full((sentences,), -torch.inf, device=device)
        self.prefixes = torch.full((sentences, beam.width, 1), beam.start, device=device)
        self.scores = torch.full((sentences, beam.width), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # all prefixes are equal at first: one of them counts

    def extend(self, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Go on by one token: the rows of the sentences left, and their prefixes' parents."""
        vocabulary = log_probs.shape[2]
        totals = (self.scores.unsqueeze(2) + log_probs).flatten(1)
        # A prefix can end in one way only, so of twice the width enough go on.
        scores, places = totals.topk(min(2 * self.width, totals.shape[1]))
        parents, tokens = places // vocabulary, places % vocabulary
        ended = tokens == self.end
        self._complete(scores.masked_fill(~ended, -torch.inf)[:, : self.width], parents)
        alive = ended.byte().argsort(dim=1, stable=True)[:, : self.width]  # still by likelihood
        scores = scores.masked_fill(ended, -torch.inf).gather(1, alive)
        left = (scores[:, 0] > self.best).nonzero().flatten()
        parents, tokens = parents.gather(1, alive)[left], tokens.gather(1, alive)[left]
        grown = torch.cat([self.prefixes[left.unsqueeze(1), parents], tokens.unsqueeze(2)], 2)
        self.prefixes, self.scores = grown, scores[left]
        self.names, self.best = self.names[left], self.best[left]
        within = self._cut()
        return left[within], parents[within]

    def _cut(self) -> Tensor:
        """The rows that may go on; of the others the likeliest prefix, if nothing is complete."""
        long = self.longest[self.names] < self.prefixes.shape[2]
        cut = long & self.best.isneginf()
        places = torch.arange(self.width, device=long.device).expand_as(self.scores)
        self._complete(self.scores.masked_fill(~cut.unsqueeze(1), -torch.inf), places)
        within = (~long).nonzero().flatten()
        self.prefixes, self.scores = self.prefixes[within], self.scores[within]
        self.names, self.best = self.names[within], self.best[within]
        return within

    def _complete(self, scores: Tensor, parents: Tensor) -> None:
        """Keep the best of these extensions where nothing complete was better."""
        score, column = scores.max(1)
        better = (score > self.best).nonzero().flatten()
        outputs = self.prefixes[better, parents[better, column[better]], 1:].tolist()
        for name, output, log_prob in zip(
            self.names[better].tolist(), outputs, score[better].tolist(), strict=True
        ):
            self.outputs[name], self.log_probs[name] = output, log_prob
        self.best = torch.maximum(self.best, score)
