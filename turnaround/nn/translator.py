"""A translator: an LSTM that reads a sentence, and the writer that says it in other words.

    model = Translator(reader, writer, width=128)     # of two vocabularies
    logits = model(source, prefix(target))            # see `Writer`
    model.written(source, beam=4, longest=longest)

What is said about a position should know what follows it, so a writer that looks back gets a reader
of two directions (Bahdanau, Cho & Bengio, 2015). They share the width: its last state fits the
writer as it is.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from turnaround.nn.sentences import PAD
from turnaround.nn.vocabulary import fingerprint
from turnaround.nn.writer import Memory, State, Writer


class Translator(Writer):
    """Reads the tokens of one vocabulary and writes those of another; it remembers which two."""

    vocabularies: Tensor

    def __init__(
        self,
        reader: Tokenizer,
        writer: Tokenizer,
        width: int,
        layers: int = 1,
        dropout: float = 0.0,
        looks: bool = True,
    ) -> None:
        super().__init__()
        self.read = nn.Embedding(reader.get_vocab_size(), width, PAD)
        between = dropout if layers > 1 else 0.0
        half = width // 2 if looks else width
        self.encoder = nn.LSTM(width, half, layers, True, True, between, looks)
        self.writes(writer.get_vocab_size(), width, layers, dropout, looks)
        self.register_buffer("vocabularies", torch.tensor(fingerprint(reader, writer)))

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
        return (hidden, cell), self.memory(annotations, absent)
