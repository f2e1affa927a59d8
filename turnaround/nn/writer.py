"""A writer: an LSTM that writes a sentence about something, whatever read that something.

    class Translator(Writer):
        def __init__(self, …):
            super().__init__()
            self.encoder = …                        # the reader is its own
            self.writes(tokens=4000, width=128)
        def encode(self, source): …                 # where to start, what to look back at

    logits = model(source, prefix)                  # to train it
    model.written(source, beam=4, longest=longest)  # the likeliest sentence about each

It starts from the state that the reader hands over (Sutskever, Vinyals & Le, 2014; Vinyals et al.,
2014, where an image is read) and looks back at what was read (Bahdanau, Cho & Bengio, 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from turnaround.nn.attention import Attention
from turnaround.nn.beam import Beam, Found, Rules, ruled
from turnaround.nn.sentences import END, PAD, START

State = tuple[Tensor, Tensor]  # of an LSTM: (layers, batch, width) each
Memory = tuple[Tensor, ...]  # of what was read: keys, annotations, what is padding; or nothing


class Writer(nn.Module):
    """The half of an encoder and decoder that writes; a subclass makes and is the other half.

    Its parts are its own, not those of a module within it, and are made where `writes` is called:
    names, order and initial weights are those of a model written in one piece.
    """

    write: nn.Embedding
    decoder: nn.LSTM
    attention: Attention | None
    mix: nn.Linear
    out: nn.Linear
    dropout: nn.Dropout

    def writes(
        self, tokens: int, width: int, layers: int = 1, dropout: float = 0.0, looks: bool = True
    ) -> None:
        """Make the parts; it `looks` back at annotations of the same width, or does not."""
        between = dropout if layers > 1 else 0.0
        self.write = nn.Embedding(tokens, width, PAD)
        self.decoder = nn.LSTM(width, width, layers, True, True, between)
        self.attention = Attention(width, width, width) if looks else None
        self.mix = nn.Linear(2 * width if looks else width, width)
        self.out = nn.Linear(width, tokens)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> tuple[State, Memory]:
        """Where to start, and what to look back at: see `memory`."""
        raise NotImplementedError

    def blank(self, batch: int) -> State:
        """The state before anything was read."""
        size = self.decoder.num_layers, batch, self.decoder.hidden_size
        return self.out.weight.new_zeros(size), self.out.weight.new_zeros(size)

    def memory(self, annotations: Tensor, absent: Tensor) -> Memory:
        """What is looked back at: annotations (batch, places, width), and where there are none."""
        if self.attention is None:
            return ()
        return self.attention.keys(annotations), annotations, absent

    def forward(self, source: Tensor, prefix: Tensor) -> Tensor:
        """Logits of what follows each position of `prefix` but its padding: (positions, tokens)."""
        state, memory = self.encode(source)
        hidden, _ = self.decoder(self.dropout(self.write(prefix)), state)
        logits: Tensor = self.out(self.mixed(hidden, memory)[prefix != PAD])
        return logits

    def mixed(self, hidden: Tensor, memory: Memory) -> Tensor:
        """The writer's states and what each sees in the source: (batch, target, width).

        Bahdanau's writer looks before it moves, one token at a time. Looking after it has moved
        lets all of a known target run through the LSTM in one call.
        """
        if self.attention is not None:
            hidden = torch.cat([hidden, self.attention(hidden, *memory)], 2)
        mixed: Tensor = self.dropout(torch.tanh(self.mix(hidden)))
        return mixed

    def step(self, last: Tensor, state: Memory, memory: Memory) -> tuple[Tensor, Memory]:
        """One token further, for beam search; state is (sentences, prefixes, layers, width)."""
        flat = [part.flatten(0, 1).transpose(0, 1).contiguous() for part in state]
        hidden, after = self.decoder(self.write(last.reshape(-1, 1)), tuple(flat))
        hidden = hidden.view(*last.shape, -1)
        log_probs = self.out(self.mixed(hidden, memory)).log_softmax(2)
        return log_probs, tuple(part.transpose(0, 1).unflatten(0, last.shape) for part in after)

    def written(
        self,
        source: Tensor,
        beam: int,
        longest: Tensor,
        rules: Rules | None = None,
        marks: Memory = (),
    ) -> Found:
        """The likeliest sentence about each, of at most `longest` (batch) tokens.

        Where there are `rules` it keeps them; `marks` (batch, …) are those of an empty prefix.
        """
        device = self.out.weight.device
        (hidden, cell), memory = self.encode(source.to(device))
        # Beam search wants sentences first.
        state = hidden.transpose(0, 1), cell.transpose(0, 1), *(m.to(device) for m in marks)
        step = ruled(self.step, rules, len(marks)) if rules else self.step
        return Beam(beam, START, END).search(step, state, memory, longest.to(device))
