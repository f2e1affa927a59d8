"""What comes next by the two tokens before it: a trigram model with Kneser-Ney smoothing.

Interpolated, with one discount for each order (Chen & Goodman, 1999, section 4.1).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

Gram = tuple[int, ...]


class Order:
    """Counts of tokens after contexts of one length, discounted by the same amount each."""

    def __init__(self, counts: Counter[Gram]) -> None:
        once, twice = (sum(count == n for count in counts.values()) for n in (1, 2))
        self.discount = once / (once + 2 * twice) if once else 0.5
        self.counts = counts
        self.totals: Counter[Gram] = Counter()
        self.kinds: Counter[Gram] = Counter()  # of tokens after a context
        for gram, count in counts.items():
            self.totals[gram[:-1]] += count
            self.kinds[gram[:-1]] += 1

    def probability(self, gram: Gram, shorter: float) -> float:
        """Of the gram's last token, when it is `shorter` after a context of one token less."""
        total = self.totals[gram[:-1]]
        if not total:
            return shorter
        own = max(self.counts[gram] - self.discount, 0.0)
        return (own + self.discount * self.kinds[gram[:-1]] * shorter) / total


class Trigram:
    """Learnt from sequences of tokens; each begins after two tokens `edge`."""

    def __init__(self, sequences: Iterable[Sequence[int]], tokens: int, edge: int) -> None:
        self.tokens, self.edge = tokens, edge
        threes = Counter(gram for sequence in sequences for gram in self.grams(sequence))
        twos = Counter(gram[1:] for gram in threes)  # after how many different tokens
        self.orders = [Order(counts) for counts in (Counter(g[1:] for g in twos), twos, threes)]

    def grams(self, sequence: Sequence[int]) -> Iterable[Gram]:
        """Each token with the two before it."""
        padded = [self.edge, self.edge, *sequence]
        return zip(padded, padded[1:], sequence, strict=False)

    def probability(self, gram: Gram) -> float:
        """Of the last token, after the two before it."""
        p = 1 / self.tokens
        for length, order in enumerate(self.orders, start=1):
            p = order.probability(gram[-length:], p)
        return p

    def perplexity(self, sequences: Iterable[Sequence[int]]) -> float:
        """Of all their tokens."""
        nats = [-math.log(self.probability(g)) for s in sequences for g in self.grams(s)]
        return math.exp(sum(nats) / len(nats))
