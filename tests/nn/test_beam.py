"""Searches in a random model over a tiny vocabulary, whose every output can be listed."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from turnaround.nn.beam import Beam, Found, Parts

START, END, VOCABULARY, LONGEST = 0, 1, 4, 5
SENTENCES = 12


class Model:
    """Log-probabilities that depend on the sentence and on the whole prefix."""

    def __init__(self, seed: int = 0, sharpness: float = 2.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = sharpness * torch.randn(997, VOCABULARY, generator=generator).double()

    def step(self, last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        (history,), (name,) = state, memory
        history = (history * 5 + last + 1) % 9973
        rows = (history + 31 * name.unsqueeze(1)) % len(self.table)
        return self.table[rows].log_softmax(2), (history,)

    def found(self, width: int, longest: int = LONGEST, names: Tensor | None = None) -> Found:
        names = torch.arange(SENTENCES) if names is None else names
        return Beam(width, START, END).search(
            self.step, (torch.zeros_like(names),), (names,), torch.full_like(names, longest)
        )

    def log_prob(self, name: int, tokens: list[int]) -> float:
        total = 0.0
        state: Parts = (torch.zeros(1, 1, dtype=torch.long),)
        for last, following in itertools.pairwise([START, *tokens]):
            log_probs, state = self.step(torch.tensor([[last]]), state, (torch.tensor([name]),))
            total += log_probs[0, 0, following].item()
        return total

    def exhaustive(self, name: int) -> tuple[list[int], float]:
        """The likeliest of all outputs that end in time."""
        others = [token for token in range(VOCABULARY) if token != END]
        outputs = [
            list(output)
            for length in range(LONGEST)
            for output in itertools.product(others, repeat=length)
        ]
        scored = [(self.log_prob(name, [*output, END]), output) for output in outputs]
        log_prob, output = max(scored)
        return output, log_prob


def test_a_beam_as_wide_as_all_prefixes_finds_what_listing_all_outputs_finds() -> None:
    model = Model()
    found = model.found(width=VOCABULARY**LONGEST)
    for name, (tokens, log_prob) in enumerate(zip(*found, strict=True)):
        output, best = model.exhaustive(name)
        assert tokens == output
        assert log_prob == pytest.approx(best)


def test_a_width_of_one_takes_the_likeliest_token_each_time() -> None:
    model = Model()
    found = model.found(width=1, longest=20)
    for name, tokens in enumerate(found.tokens):
        greedy = [START]
        state: Parts = (torch.zeros(1, 1, dtype=torch.long),)
        for _ in range(20):
            last = torch.tensor([[greedy[-1]]])
            log_probs, state = model.step(last, state, (torch.tensor([name]),))
            greedy.append(int(log_probs.argmax()))
            if greedy[-1] == END:
                break
        assert tokens == [token for token in greedy[1:] if token != END]


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_the_log_probability_is_that_of_the_output(width: int) -> None:
    model = Model()
    found = model.found(width, longest=30)
    for name, (tokens, log_prob) in enumerate(zip(*found, strict=True)):
        ended = len(tokens) < 30
        assert log_prob == pytest.approx(model.log_prob(name, tokens + [END] * ended), rel=1e-6)


def test_a_wider_beam_finds_likelier_outputs_on_average() -> None:
    names = torch.arange(500)
    means = [
        sum(Model(sharpness=1.0).found(width, 30, names).log_probs) / len(names)
        for width in (1, 2, 4, 8)
    ]
    assert means == sorted(means)
    assert means[-1] > means[0]


def test_a_sentence_is_searched_alike_whatever_is_searched_beside_it() -> None:
    model = Model()
    together = model.found(width=3)
    alone = [model.found(3, names=torch.tensor([name])) for name in range(SENTENCES)]
    assert together.tokens == [found.tokens[0] for found in alone]
    assert together.log_probs == pytest.approx([found.log_probs[0] for found in alone])


def test_what_does_not_end_is_cut_at_the_longest() -> None:
    def never(last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        log_probs = torch.tensor([-1.0, -torch.inf, -2.0, -3.0])
        return log_probs.expand(*last.shape, VOCABULARY), state

    found = Beam(2, START, END).search(never, (torch.zeros(3, 1),), (), torch.tensor([4, 1, 2]))
    assert found.tokens == [[0, 0, 0, 0], [0], [0, 0]]
    assert found.log_probs == pytest.approx([-4.0, -1.0, -2.0])


def test_a_model_that_ends_at_once_writes_nothing() -> None:
    def ends(last: Tensor, state: Parts, memory: Parts) -> tuple[Tensor, Parts]:
        log_probs = torch.tensor([-5.0, -0.1, -6.0, -7.0])
        return log_probs.expand(*last.shape, VOCABULARY), state

    found = Beam(2, START, END).search(ends, (torch.zeros(3, 1),), (), torch.full((3,), 4))
    assert found.tokens == [[], [], []]
