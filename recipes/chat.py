"""Conversation: what the next speaker says, by an LSTM that has read the whole thread.

A thread is one sequence (A Neural Conversational Model: Vinyals & Le, 2015): what it is about, then
each turn after a token that names its speaker. One LSTM reads and writes it, so a thread of twenty
turns is read once, not again for every reply. Perplexity is that of words and ends of turns;
speakers and topics are given.

    turnaround run recipe=chat
    turnaround run recipe=chat data.path=chat.jsonl     # {"topic": …, "turns": […]} a line

Data: generated dialogues in which two meet and ask about what was said; or your own, JSON lines.
Expect: perplexity 1.38 on unseen ones; a trigram model has 2.2, who knew how they are made would
    need 1.29. Of their last turns 61 % come word by word.
Time: about a minute of one core, 2,500 steps of 16.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from turnaround.corpora import dialogues
from turnaround.corpora.dialogues import Dialogue, stretches
from turnaround.engine import Lazy, Mean, Perplexity, Samples, Tally
from turnaround.engine.writing import Batch, Example, Writing
from turnaround.nn.memories import remember
from turnaround.nn.sentences import END, PAD, SPEAKERS, START, turns
from turnaround.nn.vocabulary import fingerprint
from turnaround.nn.writer import Memory, State, Writer
from turnaround.spec import Count, Share

HELD_OUT = 500  # generated dialogues to validate on, and to test on


@dataclass(frozen=True)
class Config:
    """Knobs; `dialogues` is without effect when there are files."""

    dialogues: Count = 20_000  # generated ones to train on
    tokens: Count = 8000  # words and marks at most; others are <unk>
    min_count: Count = 2  # of a word to be known
    turns: Count = 20  # of a thread that are learnt together; longer threads are cut
    width: Count = 128  # of embeddings and LSTM
    memory: Count = 100  # tokens that the longest memories last when it begins; 2 is none
    layers: Count = 1
    dropout: Share = 0.0  # of what enters the LSTM and the output; real talk wants some
    beam: Count = 1  # prefixes to keep while decoding; 1 is greedy
    written: Count = 40  # tokens of a reply, at most


class Talker(Writer):
    """A writer that has itself written what it goes on from."""

    def __init__(self, c: Config, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.writes(tokenizer.get_vocab_size(), c.width, c.layers, c.dropout, looks=False)
        remember(self.decoder, c.memory)
        self.register_buffer("vocabularies", torch.tensor(fingerprint(tokenizer)))

    def encode(self, source: Tensor) -> tuple[State, Memory]:
        """The state after threads of one length, which may be none."""
        state = self.blank(len(source))
        return (self.decoder(self.write(source), state)[1] if source.shape[1] else state), ()


class Chat(Writing):
    config: Config

    def data(self, split: str) -> Lazy[Dialogue, Example]:
        most = self.config.turns
        cut = [part for whole in self.dialogues(split) for part in stretches(whole, most)]
        return Lazy(cut, self.example)

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def dialogues(self, split: str) -> list[Dialogue]:
        c = self.config
        count = c.dialogues if split == "train" else min(c.dialogues, HELD_OUT)
        make = functools.partial(dialogues.write, split, count)
        content = [str(count), dialogues.edition()]
        return self.corpus(split, dialogues.read, lambda d: "\n".join(d.turns), make, content)

    @functools.cached_property
    def vocabularies(self) -> tuple[Tokenizer]:
        c, read = self.config, self.dialogues("train")
        texts = [f" {turn}" for each in read for turn in (each.topic, *each.turns)]
        return (self.kept(turns, texts, c.tokens, c.min_count),)

    def example(self, thread: Dialogue) -> Example:
        tokens = self.encoded(thread.topic)
        said = [PAD] * len(tokens)  # the tokens, where somebody said them
        for number, turn in enumerate(thread.turns):
            own = [*self.encoded(turn), END]
            tokens += [self.speakers[number % 2], START, *own]
            said += [PAD, PAD, *own]
        return Example(torch.tensor(tokens[:-1]), torch.tensor(said[1:]), thread)

    def encoded(self, text: str) -> list[int]:
        """Its tokens; a first word is the same token as within a sentence."""
        return list(self.vocabularies[0].encode(f" {text}").ids) if text else []

    @functools.cached_property
    def speakers(self) -> list[int]:
        numbers: dict[str, int] = self.vocabularies[0].get_vocab()
        return [numbers[name] for name in SPEAKERS]

    def model(self) -> Talker:
        return Talker(self.config, *self.vocabularies)

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return batch.source[:, :0], batch.source

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        follows = batch.target[batch.source != PAD]
        said = follows != PAD
        nll = cross_entropy(logits[said], follows[said], reduction="sum")
        return Mean.of(nll, said.sum())

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        replies = [self.reply(model, thread) for thread in batch.texts]
        right = sum(r == t.turns[-1] for r, t in zip(replies, batch.texts, strict=True))
        perplexity = Perplexity(self.loss(logits, batch).values)
        return {"perplexity": perplexity, "exact": Mean.of(right, len(replies))}

    def samples(self, model: nn.Module, examples: list[Example]) -> Samples:
        rows = [
            [" – ".join(thread.turns[-4:-1]), self.reply(model, thread), thread.turns[-1]]
            for thread in (example.text for example in examples)
        ]
        return ["before", "reply", "in the dialogue"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        return self.reply(model, Dialogue("", (" ".join(line.split()) or "Hello.", "")))

    def reply(self, model: nn.Module, thread: Dialogue) -> str:
        """What the speaker of the last turn would say in its place."""
        tokens, starts = self.example(thread).source, len(thread.turns) - 1
        last = (tokens == START).nonzero()[starts]
        longest = torch.tensor([self.config.written])
        found = self.writer(model).written(tokens[None, :last], self.config.beam, longest)
        return self.vocabularies[0].decode(found.tokens[0], skip_special_tokens=False).strip()
