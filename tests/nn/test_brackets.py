from __future__ import annotations

import pytest
import torch
from torch import Tensor

from turnaround.corpora.trees import spans
from turnaround.nn.beam import Beam, Parts, ruled
from turnaround.nn.brackets import Brackets
from turnaround.nn.sentences import END, SPECIAL, START

TOKENS = [*SPECIAL, "(ROOT", ")ROOT", "(NP", ")NP", "(VP", ")VP", "XX"]
NUMBER = {token: number for number, token in enumerate(TOKENS)}


def next_of(written: str, words: int, longest: int = 40) -> set[str]:
    """What may follow these tokens in a line about so many words."""
    brackets = Brackets(TOKENS, "ROOT", "XX")
    marks = brackets.begin(torch.tensor([words]), torch.tensor([longest]))
    marks = tuple(mark.unsqueeze(1) for mark in marks)
    last = torch.tensor([[START]])
    for token in written.split():
        last = torch.tensor([[NUMBER[token]]])
        marks = brackets.after(last, marks)
    allowed = brackets.allowed(last, marks)[0, 0].tolist()
    return {token for token, may in zip(TOKENS, allowed, strict=True) if may}


@pytest.mark.parametrize(
    ("written", "follows"),
    [
        ("", {"(ROOT"}),
        ("(ROOT", {"(NP", "(VP", "XX"}),
        ("(ROOT (NP", {"(NP", "(VP", "XX"}),
        ("(ROOT (NP XX", {"(NP", "(VP", "XX", ")NP"}),
        ("(ROOT (NP XX )NP", {"(NP", "(VP", "XX"}),  # a word is left: the root stays open
        ("(ROOT (NP XX )NP (VP XX", {")VP"}),
        ("(ROOT (NP XX )NP (VP XX )VP", {")ROOT"}),
        ("(ROOT (NP XX )NP (VP XX )VP )ROOT", {"</s>"}),
    ],
)
def test_only_what_can_become_a_tree_may_follow(written: str, follows: set[str]) -> None:
    assert next_of(written, words=2) == follows


def test_nothing_is_opened_that_there_is_no_room_to_close() -> None:
    assert "(NP" in next_of("(ROOT", words=1, longest=6)  # ( ( XX ) ) and the end
    assert next_of("(ROOT", words=1, longest=5) == {"XX"}


@pytest.mark.parametrize("width", [1, 3])
def test_a_search_among_random_tokens_ends_with_trees(width: int) -> None:
    rng = torch.Generator().manual_seed(0)
    words = torch.tensor([1, 2, 7, 12])
    longest = 3 * words + 4

    def step(last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        return torch.randn(*last.shape, len(TOKENS), generator=rng).log_softmax(-1), state

    brackets = Brackets(TOKENS, "ROOT", "XX")
    marks = brackets.begin(words, longest)
    search = Beam(width, START, END)
    for _ in range(20):
        found = search.search(ruled(step, brackets, len(marks)), marks, (), longest)
        for tokens, count in zip(found.tokens, words.tolist(), strict=True):
            assert spans(" ".join(TOKENS[token] for token in tokens), count) is not None
