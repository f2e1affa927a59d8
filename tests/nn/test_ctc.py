from __future__ import annotations

import itertools
import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from turnaround.nn.ctc import BLANK, NGram, PrefixBeam, collapsed, greedy

Texts = dict[tuple[int, ...], float]


def drawn(frames: int, symbols: int, seed: int = 0) -> Tensor:
    """Log-probabilities of so many frames: (frames, symbols)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(frames, symbols, generator=generator, dtype=torch.float64)
    return logits.log_softmax(1)


def enumerated(log_probs: Tensor) -> Texts:
    """The probability of each labelling: the sum over all alignments that collapse to it."""
    found: Texts = defaultdict(float)
    frames, symbols = log_probs.shape
    for alignment in itertools.product(range(symbols), repeat=frames):
        path = log_probs[torch.arange(frames), torch.tensor(alignment)].sum()
        found[tuple(collapsed(alignment))] += math.exp(path)
    return found


def test_collapsing_joins_what_repeats_and_drops_the_blanks() -> None:
    assert collapsed([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert collapsed([0, 0]) == collapsed([]) == []


def test_greedy_follows_the_likeliest_alignment_as_far_as_there_are_frames() -> None:
    log_probs = torch.eye(3)[torch.tensor([[1, 1, 0, 1], [2, 0, 0, 1]])].log()
    assert greedy(log_probs, torch.tensor([4, 3])) == [[1, 1], [2]]


@pytest.mark.parametrize(("frames", "symbols"), [(1, 3), (3, 4), (4, 3), (6, 3)])
def test_the_loss_is_the_sum_over_all_alignments(frames: int, symbols: int) -> None:
    log_probs = drawn(frames, symbols)
    truth = enumerated(log_probs)
    assert sum(truth.values()) == pytest.approx(1)
    for text, probability in truth.items():
        told = ctc_loss(
            log_probs.unsqueeze(1),
            torch.tensor(text, dtype=torch.long),
            torch.tensor([frames]),
            torch.tensor([len(text)]),
            BLANK,
            reduction="sum",
        )
        assert told.item() == pytest.approx(-math.log(probability), rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_that_keeps_everything_finds_the_likeliest_labelling(seed: int) -> None:
    log_probs = drawn(5, 3, seed)
    truth = enumerated(log_probs)
    best = max(truth, key=truth.__getitem__)
    found = PrefixBeam(1000, kept=1.0).search(log_probs)
    assert found.symbols == list(best)
    assert found.log_prob == pytest.approx(math.log(truth[best]))


def test_the_beam_finds_what_no_single_alignment_shows() -> None:
    # Twice 0.6 for the blank; yet all alignments of "1" hold 0.64 together.
    log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    assert greedy(log_probs.unsqueeze(0), torch.tensor([2])) == [[]]
    assert PrefixBeam(2).search(log_probs).symbols == [1]


@pytest.mark.parametrize("seed", range(10))
def test_with_a_language_model_it_finds_the_highest_sum_of_both(seed: int) -> None:
    model = NGram.learnt([[1, 2, 1], [1, 2], [2, 2]], order=3, symbols=3)
    log_probs, alpha, beta = drawn(5, 3, seed), 0.8, 0.3

    def worth(text: tuple[int, ...], probability: float) -> float:
        symbols = [model.log_prob(text[:place], text[place]) for place in range(len(text))]
        model_says = sum(symbols) + model.log_prob(text, BLANK)
        return math.log(probability) + alpha * model_says + beta * len(text)

    truth = {text: worth(text, p) for text, p in enumerated(log_probs).items()}
    best = max(truth, key=truth.__getitem__)
    found = PrefixBeam(1000, model, alpha, beta, kept=1.0).search(log_probs)
    assert found.symbols == list(best)
    assert found.log_prob == pytest.approx(truth[best])


def test_a_wider_beam_finds_on_average_what_is_no_less_likely() -> None:
    def mean(width: int) -> float:
        beam = PrefixBeam(width, kept=1.0)
        return sum(beam.search(drawn(20, 5, seed)).log_prob for seed in range(20)) / 20

    means = [mean(width) for width in (1, 2, 4, 16)]
    assert means == sorted(means)


def test_unlikely_symbols_are_not_looked_at() -> None:
    log_probs = torch.tensor([[0.6, 0.3, 0.1]]).log()
    assert PrefixBeam(9)._likely(log_probs[0].tolist()) == [0, 1, 2]
    assert PrefixBeam(9, kept=0.9)._likely(log_probs[0].double().tolist())[:2] == [0, 1]
    assert PrefixBeam(9, kept=0.5)._likely(log_probs[0].tolist()) == [0]


@pytest.mark.parametrize("order", [1, 2, 4])
def test_after_any_prefix_the_probabilities_add_up_to_one(order: int) -> None:
    model = NGram.learnt([[1, 2, 1, 3], [1, 2], []], order, symbols=5)
    for prefix in [(), (1,), (1, 2), (2, 4), (4, 4, 4, 4), (1, 2, 1, 3)]:
        total = sum(math.exp(model.log_prob(prefix, symbol)) for symbol in range(5))
        assert total == pytest.approx(1)


def test_a_model_of_pairs_is_witten_and_bells() -> None:
    model = NGram.learnt([[1, 1, 2]], 2, symbols=3)  # after 1: 1 and 2; four symbols with the end
    alone = (2 + 3 * (1 / 3)) / (4 + 3)  # of 1: seen twice, three kinds, and all alike likely
    assert math.exp(model.log_prob((1,), 1)) == pytest.approx((1 + 2 * alone) / (2 + 2))
    assert math.exp(model.log_prob((), 1)) == pytest.approx((1 + alone) / 2)  # at the start


def test_a_higher_order_knows_a_text_with_a_long_memory_better() -> None:
    texts = [[1, 2, 1, 3] * 3] * 5

    def surprise(order: int) -> float:
        model, text = NGram.learnt(texts, order, symbols=4), tuple(texts[0])
        return -sum(model.log_prob(text[:place], symbol) for place, symbol in enumerate(text))

    assert surprise(3) < surprise(2) < surprise(1)
