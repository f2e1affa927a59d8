"""Sequence to sequence: translate, with an LSTM that reads and an LSTM that writes.

The reader hands its last state to the writer (Sutskever, Vinyals & Le, 2014), which also looks back
at every position of the source (Bahdanau, Cho & Bengio, 2015). Unless it is given files it learns
generated English-French sentences: after 2,000 steps of 32, in a minute on one CPU core, BLEU on
1,000 sentences with unseen combinations of words is 95 (three seeds: 94.6, 95.1, 95.4).

    turnaround run recipe=seq2seq
    turnaround run recipe=seq2seq data.path=pairs.tsv       # source TAB target, cut in three splits
    turnaround run recipe=seq2seq data.train=train data.valid=dev    # train.en and train.fr, …
    turnaround run recipe=seq2seq recipe.attention=false recipe.reverse=true    # as in 2014
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from turnaround.corpora import english_french, pairs
from turnaround.corpora.pairs import Pair
from turnaround.engine import Lazy, Mean, Recipe, Tally
from turnaround.errors import ConfigError, DataError
from turnaround.nn.attention import Attention
from turnaround.nn.beam import Beam, Found
from turnaround.spec import Count, Share

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
PAD, START, END, UNKNOWN = range(4)
HELD_OUT = 1000  # generated sentences to validate on, and to test on
# A word keeps the space before it and the apostrophe after it (l', don'): joined they are the text.
PIECE = Regex(r" ?\p{L}+['’]?| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s")


@dataclass(frozen=True)
class Config:
    """Knobs; those of the generated corpus are without effect when there are files."""

    examples: Count = 40_000  # generated sentences to train on
    clauses: Count = 1  # in each generated sentence; 3 make long ones
    languages: str = "en-fr"  # suffixes of parallel files, source first
    vocabulary: Literal["subword", "word"] = "subword"  # a word that has no place in it is <unk>
    tokens: Count = 4000  # at most, in each of the two vocabularies
    min_count: Count = 2  # of a word, or of a sub-word, to be in its vocabulary
    attention: bool = True  # on a source read in both directions
    reverse: bool = False  # the source, not the target; helps where there is no attention
    width: Count = 128  # of embeddings, LSTMs and attention; even
    layers: Count = 1  # of each LSTM
    dropout: Share = 0.0  # of what enters the LSTMs and the output; small corpora want some
    beam: Count = 4  # prefixes to keep while decoding; 1 is greedy

    def __post_init__(self) -> None:
        if self.attention and self.width % 2:
            raise ConfigError(f"recipe.width={self.width}", "give an even one, or attention=false")
        if len(self.languages.split("-")) != 2:
            raise ConfigError(f"recipe.languages={self.languages}", "give two suffixes: en-fr")


class Example(NamedTuple):
    source: Tensor  # (tokens,), with END
    target: Tensor
    text: Pair


@dataclass(frozen=True)
class Batch:
    source: Tensor  # (batch, longest source), padded with PAD
    target: Tensor  # (batch, longest target), with END, without START
    references: list[str]


State = tuple[Tensor, Tensor]  # of an LSTM: (layers, batch, width) each
Memory = tuple[Tensor, ...]  # of the source: keys, annotations, what is padding; or nothing


class Translator(nn.Module):
    def __init__(self, config: Config, reader: Tokenizer, writer: Tokenizer) -> None:
        super().__init__()
        width, layers, both = config.width, config.layers, config.attention
        between = config.dropout if layers > 1 else 0.0
        self.read = nn.Embedding(reader.get_vocab_size(), width, PAD)
        # What is said about a position should know what follows it, so attention gets a reader of
        # two directions. They share the width: its last state fits the writer as it is.
        half = width // 2 if both else width
        self.encoder = nn.LSTM(width, half, layers, True, True, between, both)
        self.write = nn.Embedding(writer.get_vocab_size(), width, PAD)
        self.decoder = nn.LSTM(width, width, layers, True, True, between)
        self.attention = Attention(width, width, width) if config.attention else None
        self.mix = nn.Linear(2 * width if config.attention else width, width)
        self.out = nn.Linear(width, writer.get_vocab_size())
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("vocabularies", torch.tensor(fingerprint(reader, writer)))

    def forward(self, source: Tensor, prefix: Tensor) -> Tensor:
        """Logits of what follows each position of `prefix` but its padding: (positions, tokens)."""
        state, memory = self.encode(source)
        hidden, _ = self.decoder(self.dropout(self.write(prefix)), state)
        return self.out(self.mixed(hidden, memory)[prefix != PAD])

    def encode(self, source: Tensor) -> tuple[State, Memory]:
        """Where the writer starts, and what it can look back at."""
        absent = source == PAD
        lengths = (~absent).sum(1).cpu()  # packing keeps padding out of the states
        embedded = self.dropout(self.read(source))
        packed = pack_padded_sequence(embedded, lengths, True, enforce_sorted=False)
        packed, (hidden, cell) = self.encoder(packed)
        if self.attention is None:
            return (hidden, cell), ()
        annotations, _ = pad_packed_sequence(packed, True)
        hidden, cell = (torch.cat([part[0::2], part[1::2]], 2) for part in (hidden, cell))
        return (hidden, cell), (self.attention.keys(annotations), annotations, absent)

    def mixed(self, hidden: Tensor, memory: Memory) -> Tensor:
        """The writer's states and what each sees in the source: (batch, target, width).

        Bahdanau's writer looks before it moves, one token at a time. Looking after it has moved
        lets all of a known target run through the LSTM in one call.
        """
        if self.attention is not None:
            hidden = torch.cat([hidden, self.attention(hidden, *memory)], 2)
        return self.dropout(torch.tanh(self.mix(hidden)))

    def step(self, last: Tensor, state: Memory, memory: Memory) -> tuple[Tensor, Memory]:
        """One token further, for beam search; state is (sentences, prefixes, layers, width)."""
        flat = [part.flatten(0, 1).transpose(0, 1).contiguous() for part in state]
        hidden, after = self.decoder(self.write(last.reshape(-1, 1)), tuple(flat))
        hidden = hidden.view(*last.shape, -1)
        log_probs = self.out(self.mixed(hidden, memory)).log_softmax(2)
        return log_probs, tuple(part.transpose(0, 1).unflatten(0, last.shape) for part in after)


class Bleu(Tally):
    """Corpus BLEU from sacrebleu's own statistics: n-grams found and written, lengths."""

    metric: ClassVar[Metric] = BLEU()

    @classmethod
    def of(cls, guesses: list[str], references: list[str]) -> Self:
        rows = cls.metric._extract_corpus_statistics(guesses, [references])
        return cls(torch.tensor(rows, dtype=torch.float64).sum(0))

    def compute(self) -> float:
        return self.metric._compute_score_from_stats([round(n) for n in self.values.tolist()]).score


class Chrf(Bleu):
    """Corpus chrF, likewise."""

    metric: ClassVar[Metric] = CHRF()


class Seq2Seq(Recipe[Batch]):
    config: Config

    def data(self, split: str) -> Lazy[Pair, Example]:
        return Lazy(self.texts(split), self.example)

    def example(self, text: Pair) -> Example:
        reader, writer = self.vocabularies
        source, target = encoded(reader, text.source), encoded(writer, text.target)
        return Example(self.ordered(source), target, text)

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def texts(self, split: str) -> list[Pair]:
        c = self.config
        if any((self.source.path, self.source.train, self.source.valid, self.source.test)):
            source, target = c.languages.split("-")
            return pairs.split(self.source, split, (source, target))
        count = c.examples if split == "train" else min(c.examples, HELD_OUT)
        content = [split, str(count), str(c.clauses), english_french.edition()]

        def write(new: Path) -> None:
            made = english_french.examples(split, count, clauses=c.clauses)
            rows = (f"{pair.source}\t{pair.target}\n" for pair in made)
            new.write_text("".join(rows), encoding="utf-8")

        return pairs.read(self.once("sentences", content, write))

    @functools.cached_property
    def vocabularies(self) -> tuple[Tokenizer, Tokenizer]:
        sources, targets = zip(*self.texts("train"), strict=True)
        return self.vocabulary(sources), self.vocabulary(targets)

    def vocabulary(self, texts: Sequence[str]) -> Tokenizer:
        c = self.config
        content = [c.vocabulary, str(c.tokens), str(c.min_count), *texts]
        file = self.once("vocabulary", content, lambda new: learnt(texts, c).save(str(new)))
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.encode_special_tokens = True  # a sentence that says <s> means no START
        return tokenizer

    @functools.cached_property
    def fingerprint(self) -> int:
        return fingerprint(*self.vocabularies)

    def ordered(self, source: Tensor) -> Tensor:
        return torch.cat([source[:-1].flip(0), source[-1:]]) if self.config.reverse else source

    def length(self, example: Example) -> int:
        return 1000 * len(example.target) + len(example.source)  # among equal targets by source

    def collate(self, examples: list[Example]) -> Batch:
        sources = pad_sequence([example.source for example in examples], True, PAD)
        targets = pad_sequence([example.target for example in examples], True, PAD)
        return Batch(sources, targets, [example.text.target for example in examples])

    def model(self) -> Translator:
        return Translator(self.config, *self.vocabularies)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        written = batch.target.masked_fill(batch.target == END, PAD)[:, :-1]
        return batch.source, torch.cat([torch.full_like(batch.target[:, :1], START), written], 1)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        targets = batch.target[batch.target != PAD]
        return Mean.of(cross_entropy(logits, targets, reduction="sum"), len(targets))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        guesses = self.translations(self.found(model, batch.source))
        right = sum(map(str.__eq__, guesses, batch.references))
        bleu, chrf = Bleu.of(guesses, batch.references), Chrf.of(guesses, batch.references)
        return {"bleu": bleu, "chrf": chrf, "exact": Mean.of(right, len(guesses))}

    def samples(
        self, model: nn.Module, examples: list[Example]
    ) -> tuple[list[str], list[list[str]]]:
        found = self.found(model, self.collate(examples).source)
        rows = zip(examples, self.translations(found), found.log_probs, strict=True)
        return ["source", "translation", "reference", "log-probability"], [
            [e.text.source, guess, e.text.target, f"{log_prob:.2f}"] for e, guess, log_prob in rows
        ]

    def answer(self, model: nn.Module, line: str) -> str:
        if not line.strip():
            return ""
        source = encoded(self.vocabularies[0], line.strip())
        found = self.found(model, self.ordered(source).unsqueeze(0))
        return self.translations(found)[0]

    def found(self, model: nn.Module, source: Tensor) -> Found:
        assert isinstance(model, Translator)
        if model.vocabularies != self.fingerprint:  # else it would babble
            raise DataError(
                "the training data are not those that this model learnt its vocabulary from",
                "put the files back as they were, or train again",
            )
        (hidden, cell), memory = model.encode(source.to(model.out.weight.device))
        state = hidden.transpose(0, 1), cell.transpose(0, 1)  # beam search wants sentences first
        beam = Beam(self.config.beam, START, END)
        longest = 2 * (source != PAD).sum(1) + 5  # of its own length: neighbours do not matter
        return beam.search(model.step, state, memory, longest.to(hidden.device))

    def translations(self, found: Found) -> list[str]:
        return self.vocabularies[1].decode_batch(found.tokens, skip_special_tokens=False)


def learnt(texts: Sequence[str], config: Config) -> Tokenizer:
    """A tokenizer whose tokens, joined, are the text again, to the last space."""
    limits: dict[str, Any] = {"vocab_size": config.tokens, "min_frequency": config.min_count}
    pieces = pre_tokenizers.Split(PIECE, "isolated")
    if config.vocabulary == "word":
        words = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
        words.pre_tokenizer, words.decoder = pieces, decoders.Fuse()
        trainer = trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False, **limits)
        words.train_from_iterator(texts, trainer)
        return words
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    limits["initial_alphabet"] = pre_tokenizers.ByteLevel.alphabet()  # nothing is unknown
    subwords = Tokenizer(models.BPE())
    subwords.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytewise])
    subwords.decoder = decoders.ByteLevel()
    merger = trainers.BpeTrainer(special_tokens=SPECIAL, show_progress=False, **limits)
    subwords.train_from_iterator(texts, merger)
    return subwords


def fingerprint(*tokenizers: Tokenizer) -> int:
    """A number that tells these vocabularies from others."""
    texts = "".join(tokenizer.to_str() for tokenizer in tokenizers)
    return int(hashlib.sha256(texts.encode()).hexdigest()[:15], 16)


def encoded(tokenizer: Tokenizer, text: str) -> Tensor:
    """The text's tokens and END."""
    return torch.tensor([*tokenizer.encode(text).ids, END])
