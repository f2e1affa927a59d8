"""Which neurons fire together: maximum entropy models, K-pairwise, pairwise and independent.

Of all laws of words (a 0 or 1 for each cell in a bin of time) with the means, the correlations and
the distribution of K, the number of cells that fire, that the data have, the least surprising one
(Tkačik et al., 2014). Up to 20 cells all words are counted, beyond Gibbs chains are sampled. Unless
it is given a file it learns 280,000 words of ten cells from a known law: after 10 steps of L-BFGS,
in 2 s of one CPU core, a word takes 0.00016 bits more than under the law itself; pairwise 0.021.
Real cells: experiment=retina.

    turnaround run recipe=spikes
    turnaround run recipe=spikes recipe.terms=pairwise    # compare the scores `bits` of both
    turnaround run recipe=spikes recipe.law=common recipe.cells=30 optim=adam optim.lr=0.02
    turnaround run recipe=spikes data.path=retina.npz data.batch=128    # or a text of 0s and 1s
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn.functional import softplus

from turnaround.corpora import spikes, splits
from turnaround.engine import Mean, Recipe, Tally
from turnaround.errors import ConfigError, DataError
from turnaround.nn.maxent import Maxent, counts, descent, energy, every
from turnaround.spec import Count

BITS = 1 / math.log(2)
SPLITS = ("train", "valid", "test")
KNOWN = 16  # cells of which all words can be drawn from at once
UNSEEN = -8.0  # where V of a K that never was begins: −∞ would be its end
MOST = 20_000  # bins whose modes are looked for


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
    chains: Count = 1000  # beyond
    sweeps: Count = 2  # of each chain for each step

    def __post_init__(self) -> None:
        if self.law == "planted" and self.cells > KNOWN:
            wish = f"recipe.law=planted can be drawn for {KNOWN} cells, recipe.cells={self.cells}"
            raise ConfigError(wish, "recipe.law=common can for any number")


@dataclass(frozen=True)
class Batch:
    words: Tensor  # (words, cells)
    times: Tensor  # (words): how often each was seen; where all are counted no word comes twice


Output = tuple[Tensor, Tensor, Tensor]  # energies (words), log Z or its stand-in, squares of V


class Furthest(Tally):
    """The largest difference of two vectors of sums; their count stands before them."""

    def compute(self) -> float:
        return float(self.difference().abs().max())

    def difference(self) -> Tensor:
        seen, expected = (self.values[1:] / self.values[0]).chunk(2)
        return seen - expected


class Typical(Furthest):
    """The root of the mean of the squared differences."""

    def compute(self) -> float:
        return math.sqrt(self.difference().square().mean())


class Spikes(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> list[Tensor]:
        """Stretches of words: each (bins, cells)."""
        words, held = self.words(split)
        stretches = torch.from_numpy(words).split(self.config.stretch)
        kept = [s for i, s in enumerate(stretches) if held.get(i % 10, "train") in (split, None)]
        if split == "train" and self.source.batch > len(kept):
            found = (
                f"data.batch={self.source.batch} is more than the {len(kept)} stretches to learn"
            )
            raise DataError(found, f"data.batch={len(kept)} shows every step all of them")
        return kept

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def words(self, split: str) -> tuple[spikes.Words, dict[int, str | None]]:
        """Those that the split is in, and where the last digits of its stretches belong."""
        c = self.config
        whole: dict[int, str | None] = dict.fromkeys(range(10))
        if any(self.source.paths().values()):
            file, cut = splits.chosen(self.source, split)
            held: dict[int, str | None] = {**dict(zip((8, 9), cut, strict=False))} if cut else whole
            return spikes.read(file, c.key), held
        seed, bins = SPLITS.index(split), c.bins if split == "train" else math.ceil(c.bins / 4)
        if self.law is None:
            return spikes.common_words(c.cells, bins, seed), whole
        return spikes.drawn(self.law, bins, seed), whole

    @functools.cached_property
    def law(self) -> spikes.Law | None:
        """The truth about the generated data: the log-probability of every word."""
        c = self.config
        if any(self.source.paths().values()) or c.cells > KNOWN:
            return None
        return spikes.planted(c.cells) if c.law == "planted" else spikes.common(c.cells)

    def collate(self, examples: list[Tensor]) -> Batch:
        words, kind = torch.cat(examples), torch.get_default_dtype()
        cells = words.shape[1]
        if cells > self.config.exact:
            return Batch(words.to(kind), torch.ones(len(words)))
        numbers, times = number(words).unique(return_counts=True)
        return Batch(every(cells, torch.empty(0))[numbers].to(kind), times.to(kind))

    def model(self) -> Maxent:
        c, words = self.config, torch.cat(self.data("train"))
        if words.shape[1] < 3:
            raise DataError(f"words of {words.shape[1]} cells", "give three cells or more")
        rates = words.sum(0).clamp(0.5, len(words) - 0.5) / len(words)  # a cell may be silent
        made = Maxent(rates, c.terms, c.exact, c.chains, c.sweeps)
        if made.v is not None:
            never = words.sum(1).bincount(minlength=words.shape[1] + 1)[3:] == 0
            made.v.data[never] = UNSEEN
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
        free = softplus(model.alone)  # log Z of each cell by itself
        alone = (free.sum() - words @ model.alone) @ times * BITS
        entropy, by_count, threes = model.moments
        apart = (free - model.alone.sigmoid() * model.alone).sum()  # entropy of the independent
        scores: dict[str, Tally] = {
            "bits": Mean.of(bits, bins),
            "gain": Mean.of(alone - bits, bins),  # over the independent model
            "entropy": Mean.of(entropy * BITS * bins, bins),
            "information": Mean.of((apart - entropy) * BITS * bins, bins),
        }
        seen = counts(words, times)
        for name, kind, i, told in (
            ("p_k", Furthest, 0, by_count),
            ("triplets", Typical, 1, threes),
        ):
            scores[name] = kind(torch.cat([times.new_tensor([bins]), seen[i], told * bins]))
        if self.law is not None:
            truth = torch.from_numpy(self.law)[number(words.cpu())].to(times) @ times
            scores["excess"] = Mean.of(bits + truth * BITS, bins)  # over the law itself
        return scores

    def samples(
        self, model: nn.Module, examples: list[Tensor]
    ) -> tuple[list[str], list[list[str]]]:
        """The modes that the test's words come to, and how many do."""
        assert isinstance(model, Maxent)
        words = torch.cat(self.data("test")).to(model.h)[:MOST]
        modes, share = descent(words, model.terms()).unique(dim=0, return_counts=True)
        bits = (energy(modes, model.terms()) + model.weight(model.terms())) * BITS
        rows = [
            [written(modes[i]), f"{share[i] / len(words):.4f}", f"{bits[i]:.2f}"]
            for i in share.argsort(descending=True)[:8].tolist()
        ]
        return ["mode", "share of bins", "bits"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        assert isinstance(model, Maxent)
        word = torch.tensor([[float(cell) for cell in line if cell in "01"]])
        if word.shape[1] != len(model.h):
            return f"{word.shape[1]} cells, the model has {len(model.h)}"
        energies, log_z, _ = model(word)
        mode = written(descent(word, model.terms())[0])
        return f"{(energies[0] + log_z) * BITS:.2f} bits, comes to {mode}"


def number(words: Tensor) -> Tensor:
    """Where each stands among all: (n), of at most 24 cells, which fp32 holds."""
    return (words.float() @ 2 ** torch.arange(words.shape[1] - 1, -1, -1).float()).long()


def written(word: Tensor) -> str:
    """As a line of a raster."""
    return "".join("1" if cell else "0" for cell in word.tolist())
