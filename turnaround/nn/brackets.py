"""What may be written next, so that a line of brackets becomes a tree over the words it is about.

    brackets = Brackets(tokens)                       # "(NP", ")NP", "XX", … by their numbers
    marks = brackets.begin(words, longest)            # of each sentence: how many words it has
    model.written(source, 4, longest, brackets, marks)

Every prefix has a stack of open brackets, a number of words to come, and room for so many tokens.
A bracket is opened only where there is a word to put into it and room to close it again; it is
closed by its own label, and the outermost one after the last word. So something is always allowed,
and a search ends with one whole tree of all the words, within `longest` tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from turnaround.nn.beam import Parts
from turnaround.nn.sentences import END

DEEPEST = 64  # brackets inside each other


class Brackets:
    """A vocabulary of brackets: `outer` is the label of what holds a whole tree, `word` its word.

    `tokens` are in the order of their numbers, the end token among them.
    """

    def __init__(self, tokens: Sequence[str], outer: str, word: str) -> None:
        labels = sorted({token[1:] for token in tokens if token.startswith("(")})
        number = {label: place for place, label in enumerate(labels, start=1)}
        opened = [number[t[1:]] if t.startswith("(") else 0 for t in tokens]
        closed = [number.get(t[1:], -1) if t.startswith(")") else -1 for t in tokens]
        self.opens = torch.tensor(opened)  # the label that a token opens; 0 is none
        self.closes = torch.tensor(closed)  # that it closes; -1 is none: 0 is below the stack
        self.outer = number.get(outer, 0)
        self.words = torch.tensor([token == word for token in tokens])
        self.ends = torch.arange(len(tokens)) == END

    def begin(self, words: Tensor, longest: Tensor) -> Parts:
        """The marks of prefixes that are empty: stack, depth, words to come, room."""
        stack = words.new_zeros(len(words), DEEPEST)
        return stack, torch.zeros_like(words), words, longest - 1  # the end token takes one

    def after(self, last: Tensor, marks: Parts) -> Parts:
        """The marks once `last` (sentences, prefixes) is written; a start token changes nothing."""
        stack, depth, words, room = marks
        opened, closed = self._of(self.opens, last), self._of(self.closes, last) > 0
        is_word = self._of(self.words, last)
        place = depth.clamp(0, DEEPEST - 1).unsqueeze(-1)  # what nobody may write goes anywhere
        pushed = stack.scatter(-1, place, opened.unsqueeze(-1))
        stack = torch.where((opened > 0).unsqueeze(-1), pushed, stack)
        written = (opened > 0) | closed | is_word
        depth = (depth + (opened > 0).long() - closed.long()).clamp(min=0)
        return stack, depth, words - is_word.long(), room - written.long()

    def allowed(self, last: Tensor, marks: Parts) -> Tensor:
        """Which tokens may come next: (sentences, prefixes, tokens)."""
        stack, depth, words, room = marks
        top = stack.gather(-1, (depth - 1).clamp(0, DEEPEST - 1).unsqueeze(-1)).squeeze(-1)
        top = torch.where(depth > 0, top, 0)
        more, inside = words > 0, depth > 0
        fits = (room >= words + depth + 2) & (depth < DEEPEST) & more & inside
        starts = more & ~inside
        # A bracket holds a word as soon as the last token did not open it.
        may_close = inside & (self._of(self.opens, last) == 0) & ((top != self.outer) | ~more)
        opens, closes = self.opens.to(last.device), self.closes.to(last.device)
        inner = (opens > 0) & (opens != self.outer)
        return (
            (fits.unsqueeze(-1) & inner)
            | (starts.unsqueeze(-1) & (opens == self.outer) & (opens > 0))
            | ((more & inside).unsqueeze(-1) & self.words.to(last.device))
            | (may_close.unsqueeze(-1) & (closes == top.unsqueeze(-1)))
            | (~(more | inside)).unsqueeze(-1) & self.ends.to(last.device)
        )

    def _of(self, table: Tensor, tokens: Tensor) -> Tensor:
        return table.to(tokens.device)[tokens]
