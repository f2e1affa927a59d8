"""BLEU and chrF that add up over batches and devices, from sacrebleu's own statistics.

    total = Bleu.of(guesses, references) + Bleu.of(more, others)
    total.compute()                  # 34.8, what sacrebleu says of the whole corpus
    Bleu.of(guesses, [["Un chat dort.", "Le chat dort."], …])    # any of several is right

sacrebleu's defaults: cased, detokenised text in, tokenised by it ("13a"), no smoothing but "exp".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from turnaround.engine.metrics import Tally


class Bleu(Tally):
    """Corpus BLEU: n-grams found and written, lengths."""

    metric: ClassVar[Metric] = BLEU()

    @classmethod
    def of(cls, guesses: Sequence[str], references: Sequence[str | Sequence[str]]) -> Self:
        """Of some guesses, each with its reference or with several."""
        each = [[some] if isinstance(some, str) else some for some in references]
        streams = list(itertools.zip_longest(*each))  # the n-th of each; none where there is none
        rows = cls.metric._extract_corpus_statistics(guesses, streams)
        return cls(torch.tensor(rows, dtype=torch.float64).sum(0))

    def compute(self) -> float:
        """0 to 100."""
        counts = [round(count) for count in self.values.tolist()]
        return float(self.metric._compute_score_from_stats(counts).score)


class Chrf(Bleu):
    """Corpus chrF, likewise: n-grams of characters."""

    metric: ClassVar[Metric] = CHRF()
