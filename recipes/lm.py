"""Language model: what comes next in a text, by an LSTM or by a transformer of GPT-2's shape.

Data: generated English, or any plain text; by characters or by byte pairs.
Expect: 0.73 nats per character of unseen text (two seeds: 0.726, 0.739), 0.67 after the first 32 of
    a window; who knew the grammar would need 0.57. For real text see experiment=shakespeare.
Time: 105 s on one CPU core, 1,000 steps of 32.

    turnaround run recipe=lm
    turnaround run recipe=lm data.path=shakespeare.txt    # any plain text, cut 90/5/5 by position
    turnaround run recipe=lm data.path=book.txt recipe.tokens=bpe recipe.vocabulary=4000
    turnaround run recipe=lm recipe.model=lstm layout=ddp layout.replicate=2
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from turnaround.corpora import english, text
from turnaround.engine import Mean, Perplexity, Recipe, Tally
from turnaround.errors import ConfigError, DataError
from turnaround.nn.vocabulary import characters, encoded, fingerprint, pieces, sizes
from turnaround.spec import Amount, Count, Share

HELD_OUT = 1000  # generated sentences to validate on, and to test on
PROMPT = 32  # tokens of a window that a sample goes on from


@dataclass(frozen=True)
class Config:
    """Knobs; `sentences` is without effect when there is a file."""

    sentences: Count = 12_000  # of the generated text
    model: Literal["transformer", "lstm"] = "transformer"
    tokens: Literal["char", "bpe"] = "char"
    vocabulary: Count = 1000  # of byte pairs, at most; never below the 256 bytes
    context: Count = 64  # tokens that are seen at once
    width: Count = 128
    layers: Count = 2
    heads: Count = 4  # of the transformer; they share its width
    dropout: Share = 0.0  # of the embeddings and of what each layer says; short texts want some
    temperature: Amount = 0.8  # of continuations: below 1 is likelier text
    written: Count = 80  # tokens of a continuation

    def __post_init__(self) -> None:
        if self.width % self.heads:
            wish = f"recipe.width={self.width} cannot be shared by recipe.heads={self.heads}"
            raise ConfigError(wish, f"recipe.width={self.width - self.width % self.heads}")


Batch = Tensor  # of tokens: (batch, context + 1)


class Block(nn.Module):
    """Attention to what came before, then two layers on each token; both add to the stream.

    Dropout falls on what is added and nowhere else: there it is the same on every device that holds
    a share of the heads, and among the attention weights it would not be.
    """

    def __init__(self, c: Config) -> None:
        super().__init__()
        width, self.heads = c.width, c.heads
        self.before_look = nn.LayerNorm(width)
        self.look = nn.Linear(width, 3 * width)  # head by head its query, key and value
        self.out = nn.Linear(width, width)
        self.before_up = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, stream: Tensor) -> Tensor:
        """The stream with what this block adds: (batch, length, width)."""
        # Whoever holds a share of the columns of `look` finds its share of `heads` whole in it.
        looks = self.look(self.before_look(stream)).unflatten(2, (self.heads, 3, -1))
        query, key, value = looks.permute(3, 0, 2, 1, 4)  # each: (batch, heads, length, size)
        seen = scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.dropout(self.out(seen.transpose(1, 2).flatten(2)))
        return stream + self.dropout(self.down(gelu(self.up(self.before_up(stream)))))


class Lstm(nn.Module):
    """What an LSTM says at each token; it starts from nothing in every window."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.lstm = nn.LSTM(c.width, c.width, batch_first=True)
        self.dropout = nn.Dropout(c.dropout)

    def forward(self, stream: Tensor) -> Tensor:
        return self.dropout(self.lstm(stream)[0])


class Front(nn.Module):
    """Tokens and, for the transformer, their places → the stream."""

    def __init__(self, c: Config, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.token = nn.Embedding(tokenizer.get_vocab_size(), c.width)
        self.place = nn.Embedding(c.context, c.width) if c.model == "transformer" else None
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("vocabulary", torch.tensor(fingerprint(tokenizer)))

    def forward(self, tokens: Tensor) -> Tensor:
        places = 0 if self.place is None else self.place.weight[: tokens.shape[1]]
        return self.dropout(self.token(tokens) + places)


class Model(nn.Module):
    """GPT-2's shape and initial weights (Radford et al., 2019), or LSTMs between the same ends.

    The output layer is not the embedding once more: the two may be on different devices.
    """

    def __init__(self, c: Config, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.front = Front(c, tokenizer)
        kind = Block if c.model == "transformer" else Lstm
        self.blocks = nn.Sequential(*(kind(c) for _ in range(c.layers)))
        tokens = tokenizer.get_vocab_size()
        self.head = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, tokens))
        if c.model == "transformer":
            self.settle(2 * c.layers)

    def settle(self, added: int) -> None:
        """Small weights; smaller ones where so many layers add to the same stream."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                adds = name.endswith((".out.weight", ".down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(added) if adds else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of what follows each token: (batch, length, vocabulary)."""
        return self.head(self.blocks(self.front(tokens)))


class LanguageModel(Recipe[Batch]):
    config: Config
    cuts: Mapping[str, str] = {
        "blocks.*.look": "column",
        "blocks.*.out": "row",
        "blocks.*.up": "column",
        "blocks.*.down": "row",
    }
    stream = "blocks"

    def data(self, split: str) -> Any:
        """Windows of `context + 1` tokens: (windows, context + 1), a view of the text.

        Any place of the training text begins one; the other texts are cut end to end.
        """
        tokens, size = self.tokens(split), self.config.context + 1
        if len(tokens) < size:
            raise DataError(
                f"the {split} text has {len(tokens)} tokens, too few for recipe.context={size - 1}",
                "give a longer text, or a shorter context",
            )
        return tokens.unfold(0, size, 1 if split == "train" else size - 1)

    @functools.cache  # noqa: B019  # a recipe lives as long as its process
    def text(self, split: str) -> str:
        if any(self.source.paths().values()):
            return text.split(self.source, split)
        count = self.config.sentences if split == "train" else HELD_OUT
        content = [split, str(count), english.edition()]
        told = self.once("text", content, functools.partial(english.write, split, count))
        return text.read(told)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        c, whole = self.config, self.text("train")
        learn = characters if c.tokens == "char" else functools.partial(pieces, most=c.vocabulary)
        content = [c.tokens, str(c.vocabulary), whole]
        file = self.once("vocabulary", content, lambda new: learn(whole).save(str(new)))
        return Tokenizer.from_file(str(file))

    def tokens(self, split: str) -> Tensor:
        """The text's tokens, kept because a million characters take half a second."""
        tokenizer, whole = self.tokenizer, self.text(split)
        content = [tokenizer.to_str(), whole]
        file = self.once("tokens", content, lambda new: encoded(tokenizer, whole).tofile(new))
        return torch.from_numpy(np.fromfile(file, np.int32))

    def collate(self, examples: list[Tensor]) -> Batch:
        return torch.stack(examples).long()

    def model(self) -> Model:
        return Model(self.config, self.tokenizer)

    def stages(self, model: nn.Module) -> list[nn.Module]:
        assert isinstance(model, Model)
        return [model.front, *model.blocks, model.head]

    def inputs(self, batch: Batch) -> tuple[Tensor]:
        return (batch[:, :-1],)

    def loss(self, logits: Tensor, batch: Batch) -> Mean:
        targets = batch[:, 1:].flatten()
        return Mean.of(cross_entropy(logits.flatten(0, 1), targets, reduction="sum"), len(targets))

    def score(self, model: nn.Module, batch: Batch, logits: Tensor) -> dict[str, Tally]:
        loss = self.loss(logits, batch)
        size = sizes(self.tokenizer).to(batch.device)[batch[:, 1:]].sum()
        bits = Mean.of(loss.sum / math.log(2), size)  # per byte they compare across vocabularies
        return {"bits_per_byte": bits, "perplexity": Perplexity(loss.values)}

    def samples(
        self, model: nn.Module, examples: list[Tensor]
    ) -> tuple[list[str], list[list[str]]]:
        prompts = self.collate(examples)[:, :PROMPT]
        both = zip(prompts.tolist(), self.continued(model, prompts).tolist(), strict=True)
        rows = [[self.tokenizer.decode(part).replace("\n", "↵") for part in row] for row in both]
        return ["text", "continued"], rows

    def answer(self, model: nn.Module, line: str) -> str:
        prompt = self.tokenizer.encode(line or "\n").ids
        return self.tokenizer.decode(self.continued(model, torch.tensor([prompt]))[0].tolist())

    def continued(self, model: nn.Module, prompts: Tensor) -> Tensor:
        """What the model writes after each of some prompts: (prompts, written)."""
        vocabulary = model.get_buffer("front.vocabulary")
        if vocabulary != fingerprint(self.tokenizer):
            raise DataError(  # else it would babble
                "the training text is not the one that this model learnt its vocabulary from",
                "put the file back as it was, or train again",
            )
        c, tokens = self.config, prompts.to(vocabulary.device)
        rng = torch.Generator(tokens.device).manual_seed(0)  # a prompt goes on in one way
        for _ in range(c.written):
            logits = model(tokens[:, -c.context :])[:, -1].float()
            chosen = torch.multinomial((logits / c.temperature).softmax(1), 1, generator=rng)
            tokens = torch.cat([tokens, chosen], 1)
        return tokens[:, prompts.shape[1] :]
