"""Vocabularies in which every text is the tokens it is made of, joined: characters or byte pairs.

    tokenizer = characters(text)              # or pieces(text, 4000)
    numbers = encoded(tokenizer, text)        # int32: (tokens)
    tokenizer.decode(numbers.tolist())        # the text
    sizes(tokenizer)                          # bytes of each token: (vocabulary)

They are tokenizers of the library of that name.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from turnaround.errors import DataError

UNKNOWN = "\ufffd"  # token 0 of `characters`, for one that their text lacks


def characters(text: str) -> Tokenizer:
    """The characters of the text, each a token, and `UNKNOWN`."""
    alphabet = [UNKNOWN, *sorted(set(text) - {UNKNOWN})]
    numbers = {character: number for number, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def pieces(text: str, most: int) -> Tokenizer:
    """Bytes, and what they are merged to most often (Sennrich, Haddow & Birch, 2016).

    At most so many, but always all 256 bytes: no text is unknown.
    """
    trainer = trainers.BpeTrainer(
        vocab_size=most,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer


def encoded(tokenizer: Tokenizer, text: str) -> NDArray[np.int32]:
    """The text's tokens: (tokens). Line by line takes half the time of all at once."""
    lines = text.splitlines(keepends=True)
    return np.array([i for line in lines for i in tokenizer.encode(line).ids], np.int32)


def sizes(tokenizer: Tokenizer) -> Tensor:
    """How many bytes of UTF-8 each token stands for: (vocabulary)."""
    numbers: dict[str, int] = tokenizer.get_vocab()
    tokens = sorted(numbers, key=numbers.__getitem__)
    bytewise = isinstance(tokenizer.model, models.BPE)  # which writes each byte as one character
    return torch.tensor([len(token if bytewise else token.encode()) for token in tokens])


def recognise(known: Tensor, own: int) -> None:
    """Refuse to go on with a model that has learnt other vocabularies: it would babble."""
    if known != own:
        raise DataError(
            "the training data are not those that this model learnt its vocabulary from",
            "put the files back as they were, or train again",
        )


def fingerprint(*tokenizers: Tokenizer) -> int:
    """A number that tells these vocabularies from others."""
    texts = "".join(tokenizer.to_str() for tokenizer in tokenizers)
    return int(hashlib.sha256(texts.encode()).hexdigest()[:15], 16)
