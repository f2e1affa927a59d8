"""What recipes share whose model writes: sentences about sentences, trees or images.

    class Parser(Writing):
        def data(self, split): …        # of Example(source, target, text)
        def model(self): …              # a Writer that registers its vocabularies
        vocabularies = …                # of this corpus; see `kept`

They say what is read and written, and judge what was; how a target is learnt is here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from turnaround.corpora import splits
from turnaround.engine.metrics import Mean
from turnaround.engine.recipe import Recipe
from turnaround.nn.sentences import PAD, prefix
from turnaround.nn.vocabulary import fingerprint, recognise
from turnaround.nn.writer import Writer

T = TypeVar("T")
Learn = Callable[[Sequence[str], int, int], Tokenizer]  # of texts, most and least: nn/sentences.py


class Example(NamedTuple):
    """What is read, what is to be written, and both as they were before they were tokens."""

    source: Tensor  # (tokens) with END, or an image
    target: Tensor  # (tokens), with END
    text: Any


@dataclass(frozen=True)
class Batch:
    """Examples side by side."""

    source: Tensor  # (batch, longest source), padded with PAD
    target: Tensor  # (batch, longest target), with END, without START
    texts: list[Any]


class Writing(Recipe[Batch]):
    """Its model gives logits of what follows each token of a target that is not padding."""

    @property
    def vocabularies(self) -> tuple[Tokenizer, ...]:
        """Of the training data, in the order that the model knows."""
        raise NotImplementedError

    @functools.cached_property
    def fingerprint(self) -> int:
        """Of those vocabularies."""
        return fingerprint(*self.vocabularies)

    def corpus(
        self,
        split: str,
        read: Callable[[Path], list[T]],
        key: Callable[[T], str],
        make: Callable[[Path], object],
        content: Sequence[str],
    ) -> list[T]:
        """What the user's file of this split holds; without files, what `make` writes, once.

        Of a file that is cut in three, each goes where its key says.
        """
        if any(self.source.paths().values()):
            file, cut = splits.chosen(self.source, split)
            found = read(file)
            return splits.kept(found, map(key, found), split, cut)
        return read(self.once("corpus", [split, *content], make))

    def kept(self, learn: Learn, texts: Sequence[str], most: int, least: int) -> Tokenizer:
        """The vocabulary of these texts, learnt once."""
        content = [learn.__name__, str(most), str(least), *texts]
        file = self.once(
            "vocabulary", content, lambda new: learn(texts, most, least).save(str(new))
        )
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.encode_special_tokens = True  # a sentence that says <s> means no START
        return tokenizer

    def length(self, example: Example) -> int:
        """Its target's, and among equals its source's."""
        return 1000 * len(example.target) + len(example.source)

    def collate(self, examples: list[Example]) -> Batch:
        """Sources and targets padded."""
        sources = pad_sequence([example.source for example in examples], True, PAD)
        targets = pad_sequence([example.target for example in examples], True, PAD)
        return Batch(sources, targets, [example.text for example in examples])

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is read, and what is written before each token."""
        return batch.source, prefix(batch.target)

    def loss(self, output: Tensor, batch: Batch) -> Mean:
        """Of each token, the end among them."""
        targets = batch.target[batch.target != PAD]
        return Mean.of(cross_entropy(output, targets, reduction="sum"), len(targets))

    def writer(self, model: nn.Module) -> Writer:
        """The model, which must have learnt the vocabularies of this corpus."""
        assert isinstance(model, Writer)
        recognise(model.get_buffer("vocabularies"), self.fingerprint)
        return model
