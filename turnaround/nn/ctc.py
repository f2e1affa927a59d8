"""What was said, from the probabilities of each frame: decoders for connectionist temporal labels.

    greedy(log_probs, frames)                       # of each frame its likeliest symbol, collapsed
    model = NGram.learnt(texts, order=5, symbols=29)
    beam = PrefixBeam(width=16, model=model, alpha=0.5, beta=1.0)
    beam.search(log_probs[0, : frames[0]]).symbols

An alignment gives each frame a symbol or the blank, number 0; its labelling is what is left when
runs of the same symbol become one and the blanks go (Graves et al., 2006). A labelling is as likely
as all its alignments together, which `greedy` does not add up and the beam does.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

BLANK = 0
NEVER = -math.inf


def greedy(log_probs: Tensor, frames: Tensor) -> list[list[int]]:
    """The labelling of each sequence's likeliest alignment.

    `log_probs` is (batch, frames, symbols), `frames` (batch,) says how many of them count.
    """
    rows = log_probs.argmax(2).tolist()
    return [collapsed(row[:count]) for row, count in zip(rows, frames.tolist(), strict=True)]


def collapsed(alignment: Sequence[int]) -> list[int]:
    """Its labelling."""
    return [symbol for symbol, _ in itertools.groupby(alignment) if symbol != BLANK]


class NGram:
    """How likely a symbol is after the `order - 1` before it.

    Every order is interpolated with the next lower one, as much as new symbols came after this
    context (Witten & Bell, 1991); below the lowest all are alike likely. The blank's number
    stands for the end of a text, so that the probabilities of all texts add up to 1.
    """

    def __init__(self, order: int, symbols: int) -> None:
        self.order = order
        self.symbols = symbols  # with the blank
        self._after: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self.log_prob = functools.cache(self._log_prob)  # a beam asks the same again and again

    @classmethod
    def learnt(cls, texts: Iterable[Sequence[int]], order: int, symbols: int) -> NGram:
        """From texts, each a row of symbols."""
        model = cls(order, symbols)
        for text in texts:
            whole = (*text, BLANK)
            for place, symbol in enumerate(whole):
                context = model._context(whole[:place])
                for start in range(order):
                    model._after[context[start:]][symbol] += 1
        return model

    def _log_prob(self, prefix: tuple[int, ...], symbol: int) -> float:
        """Of the symbol, or of the end, after all of `prefix`."""
        return math.log(self._probability(self._context(prefix), symbol))

    def _context(self, prefix: Sequence[int]) -> tuple[int, ...]:
        """The last `order - 1` symbols; what is before the first counts as ends."""
        wanted = self.order - 1
        return (BLANK,) * (wanted - len(prefix)) + tuple(prefix[max(0, len(prefix) - wanted) :])

    def _probability(self, context: tuple[int, ...], symbol: int) -> float:
        lower = self._probability(context[1:], symbol) if context else 1 / self.symbols
        after = self._after.get(context)
        if after is None:
            return lower
        return (after[symbol] + len(after) * lower) / (after.total() + len(after))


class Labelling(NamedTuple):
    """A labelling and its log-probability, that of the language model and bonuses included."""

    symbols: list[int]
    log_prob: float


@dataclass(frozen=True)
class PrefixBeam:
    """How to search for the labelling with the highest log p_ctc + alpha log p_lm + beta length.

    Frame by frame the `width` best prefixes are kept, each with all of its alignments (Amodei et
    al., 2015, section 3.8, there with beta for words). Of a frame only the likeliest symbols are
    looked at that together hold `kept` of its probability.
    """

    width: int
    model: NGram | None = None
    alpha: float = 0.0
    beta: float = 0.0
    kept: float = 0.99

    def search(self, log_probs: Tensor) -> Labelling:
        """The best labelling of one sequence: (frames, symbols)."""
        beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, NEVER)}
        bonus: dict[tuple[int, ...], float] = {(): 0.0}
        for frame in log_probs.tolist():
            grown = _grown(beam, frame, self._likely(frame))
            for prefix in grown.keys() - bonus.keys():
                bonus[prefix] = bonus[prefix[:-1]] + self._bonus(prefix[:-1], prefix[-1])
            rank = {prefix: _sum(*ends) + bonus[prefix] for prefix, ends in grown.items()}
            best = sorted(rank, key=rank.__getitem__, reverse=True)[: self.width]
            beam = {prefix: grown[prefix] for prefix in best}
        total = {
            prefix: _sum(*ends) + bonus[prefix] + self._bonus(prefix, BLANK)
            for prefix, ends in beam.items()
        }
        found = max(total, key=total.__getitem__)
        return Labelling(list(found), total[found])

    def _likely(self, frame: list[float]) -> list[int]:
        held, likely = 0.0, []
        for symbol in sorted(range(len(frame)), key=frame.__getitem__, reverse=True):
            likely.append(symbol)
            held += math.exp(frame[symbol])
            if held >= self.kept:
                break
        return likely

    def _bonus(self, prefix: tuple[int, ...], symbol: int) -> float:
        """What a symbol, or the end, adds besides its probability in the sound."""
        length = 0.0 if symbol == BLANK else self.beta
        return length + (self.alpha * self.model.log_prob(prefix, symbol) if self.model else 0.0)


def _grown(
    beam: dict[tuple[int, ...], tuple[float, float]], frame: list[float], symbols: list[int]
) -> dict[tuple[int, ...], tuple[float, float]]:
    """The prefixes one frame later: log-probabilities of the alignments that end with the blank,
    and of those that end with the prefix's last symbol.
    """
    blank: dict[tuple[int, ...], float] = defaultdict(lambda: NEVER)
    other: dict[tuple[int, ...], float] = defaultdict(lambda: NEVER)
    for prefix, (after_blank, after_other) in beam.items():
        either = _sum(after_blank, after_other)
        for symbol in symbols:
            here, longer = frame[symbol], (*prefix, symbol)
            if symbol == BLANK:
                blank[prefix] = _sum(blank[prefix], either + here)
            elif prefix and symbol == prefix[-1]:  # the same once more, unless a blank is between
                other[prefix] = _sum(other[prefix], after_other + here)
                other[longer] = _sum(other[longer], after_blank + here)
            else:
                other[longer] = _sum(other[longer], either + here)
    return {prefix: (blank[prefix], other[prefix]) for prefix in blank.keys() | other.keys()}


def _sum(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    if one < other:
        one, other = other, one
    return one if other == NEVER else one + math.log1p(math.exp(other - one))
