"""Vocabularies of sentences: words or byte pairs, with tokens for where a sentence starts and ends.

    tokenizer = subwords(texts, most=4000, least=2)     # or words(…)
    target = encoded(tokenizer, "Le chat dort.")        # (tokens), with END
    prefix(targets)                                     # what is written when each is predicted
    tokenizer.decode(tokens, skip_special_tokens=False) # the text

The tokens of a text, joined, are the text again, to the last space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]
PAD, START, END, UNKNOWN = range(4)
SPEAKERS = ["<one>", "<other>"]  # who take turns
# A word keeps the space before it and the apostrophe after it (l', don'): joined they are the text.
PIECE = Regex(r" ?\p{L}+['’]?| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s")


def words(texts: Sequence[str], most: int, least: int) -> Tokenizer:
    """At most so many words and marks, each seen at least so often; others are unknown."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(PIECE, "isolated")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(
        vocab_size=most, min_frequency=least, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def turns(texts: Sequence[str], most: int, least: int) -> Tokenizer:
    """The same, and tokens for the speakers: what somebody says follows that of who says it."""
    tokenizer = words(texts, most, least)
    tokenizer.add_special_tokens(SPEAKERS)
    return tokenizer


def spaced(texts: Sequence[str], most: int, least: int) -> Tokenizer:
    """The same for texts that are words already, with a space between each two."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
    tokenizer.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    trainer = trainers.WordLevelTrainer(
        vocab_size=most, min_frequency=least, special_tokens=SPECIAL, show_progress=False
    )
    known = (" ".join(word for word in text.split(" ") if word not in SPECIAL) for text in texts)
    tokenizer.train_from_iterator(known, trainer)
    return tokenizer


def joined(words: Sequence[str]) -> str:
    """What `spaced` reads; a word that is spelled as a special token is an unknown one."""
    return " ".join(SPECIAL[UNKNOWN] if word in SPECIAL else word for word in words)


def subwords(texts: Sequence[str], most: int, least: int) -> Tokenizer:
    """Bytes, and what they are merged to most often inside words: no text is unknown."""
    pieces = pre_tokenizers.Split(PIECE, "isolated")
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=most,
        min_frequency=least,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encoded(tokenizer: Tokenizer, text: str) -> Tensor:
    """The text's tokens and END."""
    return torch.tensor([*tokenizer.encode(text).ids, END])


def prefix(targets: Tensor) -> Tensor:
    """START and the tokens before each place: (batch, length), as long as `targets`.

    Padding stands where there is nothing more to predict.
    """
    written = targets.masked_fill(targets == END, PAD)[:, :-1]
    return torch.cat([torch.full_like(targets[:, :1], START), written], 1)
