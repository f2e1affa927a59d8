"""Sequence to sequence: translate, with an LSTM that reads and an LSTM that writes.

    turnaround run recipe=seq2seq                                  # a generated corpus
    turnaround run recipe=seq2seq data.path=pairs.tsv              # your own
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sacrebleu.metrics import BLEU, CHRF
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from turnaround.corpora import english_french, pairs
from turnaround.corpora.pairs import Pair
from turnaround.engine import Mean, Recipe, Tally
from turnaround.nn.attention import Attention
from turnaround.nn.beam import search

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


@dataclass(frozen=True)
class Config:
    examples: int = 20_000  # generated sentences to train on
    clauses: int = 1  # of each generated sentence; 3 make long ones
    languages: str = "en-fr"  # suffixes of parallel files, source first: corpus.en, corpus.fr
    vocabulary: str = "subword"  # subword or word
    tokens: int = 4000  # at most, in each vocabulary
    min_count: int = 2  # of a word or a merge, to enter its vocabulary
    attention: bool = True  # look back at every source position (Bahdanau et al., 2015)
    reverse: bool = False  # read the source backwards (Sutskever et al., 2014)
    width: int = 128  # of embeddings, LSTMs and attention
    layers: int = 1
    dropout: float = 0.1
    beam: int = 4  # prefixes kept while decoding; 1 is greedy


class Example(NamedTuple):
    source: list[int]
    target: list[int]
    pair: Pair


@dataclass(frozen=True)
class Batch:
    source: Tensor  # (batch, longest source), padded
    target: Tensor  # (batch, longest target), padded, with END and without START
    references: list[str]


class Translator(nn.Module):
    def __init__(self, config: Config, sources: int, targets: int) -> None:
        super().__init__()
        width, layers = config.width, config.layers
        directions = 2 if config.attention else 1  # annotations know what follows as well
        between = config.dropout if layers > 1 else 0.0
        self.read = nn.Embedding(sources, width, padding_idx=PAD)
        self.encoder = nn.LSTM(
            width, width // directions, layers, True, True, between, directions == 2
        )
        self.write = nn.Embedding(targets, width, padding_idx=PAD)
        self.decoder = nn.LSTM(width, width, layers, True, True, between)
        self.attention = Attention(width, width, width) if config.attention else None
        self.mix = nn.Linear(width * (2 if config.attention else 1), width)
        self.out = nn.Linear(width, targets)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, source: Tensor, prefix: Tensor) -> Tensor:
        """Logits of the token after each position of `prefix` that is no padding: (positions, tokens)."""
        state, memory = self.encode(source)
        hidden, _ = self.decoder(self.dropout(self.write(prefix)), state)
        return self.out(self.mixed(hidden, memory)[prefix != PAD])

    def encode(self, source: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, ...]]:
        """The state that the decoder starts from, and what its attention looks at."""
        absent = source == PAD
        lengths = (~absent).sum(1).cpu()  # packing keeps padding out of the states
        packed = pack_padded_sequence(
            self.dropout(self.read(source)), lengths, True, enforce_sorted=False
        )
        packed, state = self.encoder(packed)
        if self.attention is None:
            return state, ()
        annotations, _ = pad_packed_sequence(packed, True)
        memory = self.attention.keys(annotations), annotations, absent
        return tuple(torch.cat([part[0::2], part[1::2]], 2) for part in state), memory

    def mixed(self, hidden: Tensor, memory: tuple[Tensor, ...]) -> Tensor:
        if self.attention is not None:
            hidden = torch.cat([hidden, self.attention(hidden, *memory)], 2)
        return self.dropout(torch.tanh(self.mix(hidden)))

    def step(self, last, state, memory):
        """Beam search's view of the decoder."""
        n, width = last.shape
        h, c = (part.flatten(0, 1).transpose(0, 1).contiguous() for part in state)
        hidden, state = self.decoder(self.write(last.reshape(-1, 1)), (h, c))
        logits = self.out(self.mixed(hidden.view(n, width, -1), memory))
        return logits.float().log_softmax(2), tuple(
            part.transpose(0, 1).unflatten(0, (n, width)) for part in state
        )


class Vocabulary:
    """text ↔ tokens"""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()


PIECES = Regex(r" ?\p{L}+['’]?| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s")


def learn(texts: Sequence[str], config: Config) -> Tokenizer:
    common = {"vocab_size": config.tokens, "min_frequency": config.min_count, "special_tokens": SPECIAL, "show_progress": False}
    pieces = pre_tokenizers.Split(PIECES, "isolated")
    if config.vocabulary == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer, tokenizer.decoder = pieces, decoders.Fuse()
        tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(**common))
        return tokenizer
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **common))
    return tokenizer


class Bleu(Tally):
    metric = BLEU()

    @classmethod
    def of(cls, guesses: list[str], references: list[str]):
        rows = cls.metric._extract_corpus_statistics(guesses, [references])
        return cls(torch.tensor(rows, dtype=torch.float64).sum(0))

    def compute(self) -> float:
        return self.metric._compute_score_from_stats([round(n) for n in self.values.tolist()]).score


class Chrf(Bleu):
    metric = CHRF()


class Seq2Seq(Recipe[Batch]):
    config: Config

    def pairs(self, split: str) -> list[Pair]:
        c = self.config
        return english_french.examples(split, c.examples if split == "train" else 1000, 0, c.clauses)

    def data(self, split: str) -> list[Example]:
        found = self.pairs(split)
        source, target = self.vocabularies()
        return [
            Example(self.read(s.ids), [*t.ids, END], pair)
            for s, t, pair in zip(
                source.encode_batch([p.source for p in found]),
                target.encode_batch([p.target for p in found]),
                found,
                strict=True,
            )
        ]

    def read(self, tokens: list[int]) -> list[int]:
        return [*(tokens[::-1] if self.config.reverse else tokens), END]

    def vocabularies(self):
        if not hasattr(self, "_v"):
            p = self.pairs("train")
            self._v = learn([x.source for x in p], self.config), learn([x.target for x in p], self.config)
        return self._v

    def collate(self, examples: list[Example]) -> Batch:
        source = [torch.tensor(e.source) for e in examples]
        target = [torch.tensor(e.target) for e in examples]
        return Batch(
            pad_sequence(source, True, PAD), pad_sequence(target, True, PAD), [e.pair.target for e in examples]
        )

    def model(self) -> nn.Module:
        source, target = self.vocabularies()
        return Translator(self.config, source.get_vocab_size(), target.get_vocab_size())

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        last = batch.target.masked_fill(batch.target == END, PAD)
        starts = torch.full_like(last[:, :1], START)
        return batch.source, torch.cat([starts, last[:, :-1]], 1)

    def loss(self, output: Tensor, batch: Batch) -> Mean:
        targets = batch.target[batch.target != PAD]
        return Mean.of(cross_entropy(output, targets, reduction="sum"), len(targets))

    def length(self, example: Example) -> int:
        return len(example.target)

    def score(self, model: nn.Module, batch: Batch) -> dict[str, Tally]:
        guesses = self.translate(model, batch.source)
        right = sum(g == r for g, r in zip(guesses, batch.references, strict=True))
        return {
            "bleu": Bleu.of(guesses, batch.references),
            "chrf": Chrf.of(guesses, batch.references),
            "exact": Mean.of(right, len(guesses)),
        }

    def translate(self, model, source: Tensor) -> list[str]:
        state, memory = model.encode(source)
        found = search(
            model.step, tuple(part.transpose(0, 1) for part in state), memory,
            width=self.config.beam, longest=2 * source.shape[1] + 10, start=START, end=END,
        )
        return self.vocabularies()[1].decode_batch(found.tokens)

    def samples(self, model: nn.Module, examples: list[Example]):
        guesses = self.translate(model, self.collate(examples).source)
        return ["source", "translation", "reference"], [
            [e.pair.source, g, e.pair.target] for e, g in zip(examples, guesses, strict=True)
        ]

    def answer(self, model: nn.Module, line: str) -> str:
        source = self.read(self.vocabularies()[0].encode(line.strip()).ids)
        return self.translate(model, torch.tensor([source]))[0]
