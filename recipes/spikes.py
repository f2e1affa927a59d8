"""Which neurons fire together: maximum entropy models, K-pairwise, pairwise and independent.

Of all laws of words (a 0 or 1 for each cell in a bin of time) with the means, the correlations and
the distribution of K, the number of cells that fire, that the data have, the least surprising one
(Tkačik et al., 2014). Up to 20 cells all words are counted, beyond 100,000 are drawn and weighed.

    turnaround run recipe=spikes
    turnaround run recipe=spikes recipe.terms=pairwise    # compare the scores `bits` of both
    turnaround run recipe=spikes recipe.law=common recipe.cells=30 budget.steps=3
    turnaround run recipe=spikes data.path=retina.npz    # or a text of 0s and 1s

Data: 280,000 words of ten cells from a known law; or an .npz or text. Real ones: experiment=retina.
Expect: a word takes 0.00016 bits more than under the law itself; pairwise 0.021.
Time: 2 s of one CPU core, 10 steps of L-BFGS; of 30 cells 25 s, 3 steps.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from turnaround.corpora import spikes, splits
from turnaround.engine import Furthest, Mean, Recipe, Samples, Tally, Typical
from turnaround.errors import ConfigError, DataError
from turnaround.nn.energies import counts, descent, energy, every, number
from turnaround.nn.maxent import Maxent
from turnaround.spec import Count

BITS, MOST = 1 / math.log(2), 20_000  # a nat; bins whose modes are looked for


@dataclass(frozen=True)
class Config:
    """Knobs; `law`, `cells` and `bins` are of the generated data."""

    law: Literal["planted", "common"] = "planted"  # couplings and V(K), or an input that all share
    cells: Count = 10
    bins: Count = 280_000  # to train on; a quarter as many to validate on, and to test on
    key: str | None = None  # which matrix of an .npz file with several
    stretch: Count = 250  # bins of an example; every tenth is held out for each split cut off
    terms: Literal["independent", "pairwise", "k-pairwise"] = "k-pairwise"
    ridge: Annotated[float, Ge(0)] = 1e-10  # half of it times V²: where no K was seen V has no end
    exact: Annotated[int, Ge(0), Le(24)] = 20  # cells up to which all words are counted
    samples: Count = 100_000  # beyond
    sweeps: Count = 3  # of each, when the parameters have gone too far from them

    def __post_init__(self) -> None:
        if self.law == "planted" and self.cells > spikes.KNOWN:
            most = f"recipe.law=planted can be drawn for {spikes.KNOWN} cells"
            wish = f"{most}, recipe.cells={self.cells}"
            raise ConfigError(wish, "recipe.law=common can for any number")


@dataclass(frozen=True)
class Batch:
    words: Tensor  # (words, cells)
    times: Tensor  # (words): how often each was seen; no word comes twice


Output = tuple[Tensor, Tensor, Tensor]  # energies (words), log Z, squares of V


class Spikes(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> list[Tensor]:
        """Stretches of words: each (bins, cells)."""
        cut = splits.chosen(self.source, split)[1] if splits.given(self.source) else ()
        stretches = torch.from_numpy(self.trains.words(split)).split(self.config.stretch)
        kept = splits.tenths(stretches, split, cut, "give a smaller recipe.stretch")
        return splits.whole(self.source, kept, "stretches to learn") if split == "train" else kept

    @functools.cached_property
    def trains(self) -> spikes.Trains:
        c = self.config
        return spikes.Trains(self.source, c.key, c.law, c.cells, c.bins)

    def collate(self, examples: list[Tensor]) -> Batch:
        words, kind = torch.cat(examples), torch.get_default_dtype()
        if (cells := words.shape[1]) > self.config.exact:
            words, times = words.unique(dim=0, return_counts=True)
        else:
            numbers, times = number(words).unique(return_counts=True)
            words = every(cells, torch.empty(0))[numbers]
        return Batch(words.to(kind), times.to(kind))

    def model(self) -> Maxent:
        c, words = self.config, torch.cat(self.data("train"))
        if words.shape[1] < 3:
            raise DataError(f"words of {words.shape[1]} cells", "give three cells or more")
        rates = words.sum(0).clamp(0.5, len(words) - 0.5) / len(words)  # a cell may be silent
        made = Maxent(rates, c.terms, c.exact, c.samples, c.sweeps)
        made.begin(words)
        return made

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch.words,)

    def loss(self, output: Output, batch: Batch) -> Mean:
        energies, log_z, squares = output
        bins, bound = batch.times.sum(), log_z + self.config.ridge / 2 * squares
        return Mean.of(energies @ batch.times + bound * bins, int(bins))

    def score(self, model: nn.Module, batch: Batch, output: Output) -> dict[str, Tally]:
        """Bits per bin and what they are compared with; how far P(K) and triplets are off."""
        assert isinstance(model, Maxent)
        words, times, bins = batch.words, batch.times, int(batch.times.sum())
        bits = (output[0] + output[1]) @ times * BITS
        alone, apart = model.independent(words)
        entropy, by_count, threes = model.moments
        seen = counts(words, times)
        scores: dict[str, Tally] = {
            "bits": Mean.of(bits, bins),
            "gain": Mean.of(alone @ times * BITS - bits, bins),  # over the independent model
            "entropy": Mean.of(entropy * BITS * bins, bins),
            "information": Mean.of((apart - entropy) * BITS * bins, bins),
            "p_k": Furthest.of(seen[0], by_count, bins),
            "triplets": Typical.of(seen[1], threes, bins),
        }
        if self.trains.law is not None:
            truth = torch.from_numpy(self.trains.law)[number(words.cpu())].to(times) @ times
            scores["excess"] = Mean.of(bits + truth * BITS, bins)  # over the law itself
        return scores

    def samples(self, model: nn.Module, examples: list[Tensor]) -> Samples:
        """The modes that the test's words come to, and how many do."""
        assert isinstance(model, Maxent)
        words = torch.cat(self.data("test")).to(model.h)[:MOST]
        modes, share = descent(words, model.terms()).unique(dim=0, return_counts=True)
        bits = (energy(modes, model.terms()) + model.weight(model.terms())) * BITS
        rows = [
            [spikes.written(modes[i]), f"{share[i] / len(words):.4f}", f"{bits[i]:.2f}"]
            for i in share.argsort(descending=True)[:8].tolist()
        ]
        return ["mode", "share of bins", "bits"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        assert isinstance(model, Maxent)
        word = torch.tensor([[float(cell) for cell in line if cell in "01"]])
        if word.shape[1] != len(model.h):
            return f"{word.shape[1]} cells, the model has {len(model.h)}"
        energies, log_z, _ = model(word)
        mode = spikes.written(descent(word, model.terms())[0])
        return f"{(energies[0] + log_z) * BITS:.2f} bits, comes to {mode}"
