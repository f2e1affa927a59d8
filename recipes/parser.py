"""Constituency parser: words in, brackets out, by an LSTM that reads and an LSTM that writes.

Trees are written as lines, (S (NP XX )NP (VP XX )VP )S, and learnt like a language (Grammar as a
Foreign Language: Vinyals et al., 2014). While decoding only what can become a tree over the words
may be written, so every guess is one; with recipe.free=true those that are none are counted.

    turnaround run recipe=parser
    turnaround run recipe=parser data.train=train.mrg data.valid=dev.mrg data.test=test.mrg

Data: sentences of a small generated grammar, or your own trees in Penn brackets.
Expect: 98 F1 on 1,000 unseen sentences, of labelled brackets as evalb counts them; 96 with beam=1.
Time: three minutes of one core of a busy machine, 2,000 steps of 32.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from turnaround.corpora import phrases, trees
from turnaround.corpora.trees import ROOT, WORD, Span, Tree
from turnaround.engine import Lazy, Mean, Tally
from turnaround.engine.writing import Batch, Example, Writing
from turnaround.errors import ConfigError
from turnaround.nn.brackets import Brackets
from turnaround.nn.sentences import PAD, encoded, joined, spaced
from turnaround.nn.translator import Translator
from turnaround.spec import Count, Share

HELD_OUT = 1000  # generated trees to validate on, and to test on
LABELS = 1000  # marks at most


@dataclass(frozen=True)
class Config:
    """Knobs; `examples` is without effect when there are files."""

    examples: Count = 20_000  # generated trees to train on
    tokens: Count = 10_000  # words at most; others are <unk>
    min_count: Count = 2  # of a word to be known
    width: Count = 128  # of embeddings, LSTMs and attention; even
    layers: Count = 1  # of each LSTM
    dropout: Share = 0.0  # of what enters the LSTMs and the output; small treebanks want some
    beam: Count = 4  # prefixes to keep while decoding; 1 is greedy
    free: bool = False  # decode as if any line were a tree

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ConfigError(f"recipe.width={self.width}", "give an even one")


class F1(Tally):
    """Of brackets, in per cent, from how many were found, guessed and true."""

    @classmethod
    def of(cls, gold: list[Tree], guesses: list[tuple[Span, ...] | None]) -> Self:
        """Summed over sentences; a guess that is no tree has no brackets."""
        counts = [trees.agreement(g, m or ()) for g, m in zip(gold, guesses, strict=True)]
        return cls(torch.tensor(counts, dtype=torch.float64).sum(0))

    def compute(self) -> float:
        found, guessed, true = self.values.tolist()
        return 200 * found / (guessed + true) if guessed + true else 100.0


class Parser(Writing):
    config: Config

    def data(self, split: str) -> Lazy[Tree, Example]:
        return Lazy(self.trees(split), self.example)

    def example(self, tree: Tree) -> Example:
        reader, writer = self.vocabularies
        return Example(encoded(reader, text(tree)), encoded(writer, trees.line(tree)), tree)

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def trees(self, split: str) -> list[Tree]:
        c = self.config
        count = c.examples if split == "train" else min(c.examples, HELD_OUT)
        make = functools.partial(phrases.write, split, count)
        return self.corpus(split, trees.read, text, make, [str(count), phrases.edition()])

    @functools.cached_property
    def vocabularies(self) -> tuple[Tokenizer, Tokenizer]:
        c, known = self.config, self.trees("train")
        words = self.kept(spaced, [text(tree) for tree in known], c.tokens, c.min_count)
        return words, self.kept(spaced, [trees.line(tree) for tree in known], LABELS, 1)

    @functools.cached_property
    def brackets(self) -> Brackets:
        numbers: dict[str, int] = self.vocabularies[1].get_vocab()
        return Brackets(sorted(numbers, key=numbers.__getitem__), ROOT, WORD)

    def model(self) -> Translator:
        c = self.config
        return Translator(*self.vocabularies, c.width, c.layers, c.dropout)

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        guesses = self.guesses(model, batch.source)
        right = sum(guess == tree.spans for guess, tree in zip(guesses, batch.texts, strict=True))
        valid = sum(guess is not None for guess in guesses)
        return {
            "f1": F1.of(batch.texts, guesses),
            "exact": Mean.of(right, len(guesses)),
            "valid": Mean.of(valid, len(guesses)),
        }

    def samples(
        self, model: nn.Module, examples: list[Example]
    ) -> tuple[list[str], list[list[str]]]:
        lines = self.lines(model, self.collate(examples).source)
        rows = [
            [trees.shown(trees.line(e.text), e.text.words), trees.shown(line, e.text.words)]
            for e, line in zip(examples, lines, strict=True)
        ]
        return ["tree", "guess"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        words = trees.typed(line)
        if not words:
            return ""
        source = encoded(self.vocabularies[0], joined(words)).unsqueeze(0)
        return trees.shown(self.lines(model, source)[0], words)

    def guesses(self, model: nn.Module, source: Tensor) -> list[tuple[Span, ...] | None]:
        counts = ((source != PAD).sum(1) - 1).tolist()
        lines = self.lines(model, source)
        return [trees.spans(line, count) for line, count in zip(lines, counts, strict=True)]

    def lines(self, model: nn.Module, source: Tensor) -> list[str]:
        words = (source != PAD).sum(1) - 1
        longest = 5 * words + 20  # of its own length: neighbours do not matter
        kept = () if self.config.free else (self.brackets, self.brackets.begin(words, longest))
        found = self.writer(model).written(source, self.config.beam, longest, *kept)
        return self.vocabularies[1].decode_batch(found.tokens, skip_special_tokens=False)


def text(tree: Tree) -> str:
    """The words, with spaces between."""
    return joined(tree.words)
