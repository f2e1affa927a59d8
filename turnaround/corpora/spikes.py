"""Spike trains: which cells fire in each bin of time; from files, or drawn from a known law.

    words = read(Path("retina.npz"))               # (bins, cells) of 0 and 1
    law = planted(10)                              # log-probabilities of all 1,024 words
    words = drawn(law, bins=1000, seed=0)
    Trains(data, None, "planted", 10, 1000).words("train")    # from files if given, else drawn

A file is an .npz with one matrix (its longer side is time), or a text with a line of 0s and 1s for
each bin. What is neither 0 nor 1 is an error that names the file and the place.
"""

from __future__ import annotations

import functools
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp, ndtri

from turnaround.corpora import splits, text
from turnaround.errors import DataError, near
from turnaround.spec import Data

Words = NDArray[np.uint8]  # (bins, cells)
Law = NDArray[np.float64]  # (2 ** cells): of each word, the first cell is its highest bit
KNOWN = 16  # cells of which all words can be drawn from at once
SHARED = 0.3  # of the variance of each cell's input comes to all cells: their correlation
NODES = 80  # of the quadrature over that input; 40 differ by 1e-12 in any probability
SPREAD = str.maketrans("", "", " \t,")


def read(path: Path, key: str | None = None) -> Words:
    """The words of a file; `key` chooses a matrix where an .npz has several."""
    return _matrix(path, key) if path.suffix == ".npz" else _raster(path)


def _matrix(path: Path, key: str | None) -> Words:
    try:
        with zipfile.ZipFile(path):
            pass
        with np.load(path) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error) or "it ends too early"
        raise DataError(f"{path} is no .npz file: {reason}", "numpy.savez makes them") from None
    except ValueError as error:  # of objects, which could run code
        raise DataError(f"{path} cannot be read: {error}", "give a matrix of numbers") from None
    flat = {name: array for name, array in found.items() if array.ndim == 2 and array.size}
    if key is None and len(flat) == 1:
        key = next(iter(flat))
    if key not in flat:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in found.items()) or "nothing"
        hint = near(key, flat) if key else f"recipe.key= one of {', '.join(flat) or 'none'}"
        raise DataError(f"{path} holds {shapes}: which matrix is meant?", hint)
    matrix = flat[key] if flat[key].shape[0] >= flat[key].shape[1] else flat[key].T
    wrong = np.argwhere((matrix != 0) & (matrix != 1))
    if len(wrong):
        bin_, cell = (int(place) for place in wrong[0])
        where = f"{path}, {key}, bin {bin_}, cell {cell}"
        hint = "a bin says whether a cell fired: (counts > 0) makes it so of counts"
        raise DataError(f"{where}: expected 0 or 1, found {matrix[bin_, cell]}", hint)
    words: Words = matrix.astype(np.uint8)
    return words


def _raster(path: Path) -> Words:
    rows: list[str] = []
    for number, line in enumerate(text.read(path).splitlines(), 1):
        row = line.partition("#")[0].translate(SPREAD)
        if not row:
            continue
        if row.strip("01"):
            found = f"found {row.strip('01')[0]!r}"
            raise DataError(
                f"{path}, line {number}: expected 0s and 1s, {found}", "a line is a bin"
            )
        if len(row) != len((rows or [row])[0]):
            found = f"expected {len(rows[0])} cells, found {len(row)}"
            raise DataError(f"{path}, line {number}: {found}", "every bin has all cells")
        rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no bin", "a line is a bin: 0010100")
    words: Words = (np.array([list(row) for row in rows]) == "1").astype(np.uint8)
    return words


def written(word: Iterable[float]) -> str:
    """A word as a line of such a text."""
    return "".join("1" if cell else "0" for cell in word)


class Trains:
    """The splits of a source: its files, of whose matrices `key` chooses; else of the law's words.

    `bins` are drawn to train on, a quarter as many to validate on, and to test on.
    """

    def __init__(self, source: Data, key: str | None, law: str, cells: int, bins: int) -> None:
        self.source, self.key, self.cells, self.bins = source, key, cells, bins
        self.law = None if splits.given(source) else known(law, cells)

    @functools.cache  # noqa: B019  # a source lives as long as its process
    def words(self, split: str) -> Words:
        """The words that the split is in."""
        if splits.given(self.source):
            return self._read(split)
        bins = self.bins if split == "train" else -(-self.bins // 4)
        return generated(self.law, self.cells, bins, splits.SPLITS.index(split))

    def _read(self, split: str) -> Words:
        """Those of the split's file, which are of as many cells as those to train on."""
        file = splits.chosen(self.source, split)[0]
        words = read(file, self.key)
        learnt = words if split == "train" else self.words("train")
        if words.shape[1] != learnt.shape[1]:
            first = splits.chosen(self.source, "train")[0]
            raise DataError(
                f"{file} has {words.shape[1]} cells, and {first} has {learnt.shape[1]}",
                "the same cells are to train on and to be judged on",
            )
        return words


# ── known laws ──


def every(cells: int) -> Words:
    """All words, in the order of a law: (2 ** cells, cells)."""
    numbers = np.arange(2**cells)[:, None]
    return (numbers >> np.arange(cells)[::-1] & 1).astype(np.uint8)


def known(name: str, cells: int) -> Law | None:
    """The law of that name, if its words can be counted."""
    if cells > KNOWN:
        return None
    return planted(cells) if name == "planted" else common(cells)


def generated(law: Law | None, cells: int, bins: int, seed: int) -> Words:
    """Words of that law; where it is not known they have a common input."""
    return common_words(cells, bins, seed) if law is None else drawn(law, bins, seed)


def drawn(law: Law, bins: int, seed: int) -> Words:
    """Independent words."""
    chosen = np.random.default_rng(seed).choice(len(law), bins, p=np.exp(law - logsumexp(law)))
    return every(len(law).bit_length() - 1)[chosen]


def planted(cells: int, seed: int = 0) -> Law:
    """Cells of low rates, with couplings of both signs and a bias to what many do together."""
    rng = np.random.default_rng(seed)
    fields = rng.uniform(-3.4, -1.8, cells)
    couplings = np.triu(rng.normal(0.05, 0.5, (cells, cells)), 1)
    words = every(cells).astype(np.float64)
    together = 0.9 * np.sqrt(np.maximum(words.sum(1) - 2, 0))  # V(K), none of it a quadratic in K
    law: Law = words @ fields + ((words @ couplings) * words).sum(1) + together
    law -= logsumexp(law)
    return law


def common(cells: int) -> Law:
    """Cells that fire when a normal input passes a threshold, a share of it common to all.

    That is the dichotomized Gaussian of Macke et al. (2009); rates are 3 to 9 %.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    inputs = (_thresholds(cells) - np.sqrt(SHARED) * nodes[:, None]) / np.sqrt(1 - SHARED)
    silent, fires = log_ndtr(inputs), log_ndtr(-inputs)  # (nodes, cells)
    words = every(cells).astype(np.float64)
    each = silent.sum(1) + words @ (fires - silent).T  # (words, nodes)
    law: Law = logsumexp(each + np.log(weights / weights.sum()), axis=1)
    return law


def common_words(cells: int, bins: int, seed: int) -> Words:
    """Words of that law, for any number of cells."""
    rng = np.random.default_rng(seed)
    shared, own = rng.standard_normal((bins, 1)), rng.standard_normal((bins, cells))
    inputs = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
    words: Words = (inputs > _thresholds(cells)).astype(np.uint8)
    return words


def _thresholds(cells: int) -> NDArray[np.float64]:
    thresholds: NDArray[np.float64] = -ndtri(np.linspace(0.03, 0.09, cells))
    return thresholds
