from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]  # it has no types

from turnaround.nn.lists import LOSSES, listwise, ndcg, pairwise, swaps

LABELS = torch.tensor([[0.0, 2, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
THERE = torch.tensor([[True, True, True, True], [True, True, False, False], [True] * 4])
SCORES = torch.tensor([[0.4, 0.3, 0.2, 0.1], [-1.0, 1.0, 9.0, 9.0], [1.0, 2.0, 3.0, 4.0]])


@pytest.mark.parametrize("top", [1, 2, 10])
def test_ndcg_is_that_of_scikit_learn_and_1_where_nothing_is_worth_anything(top: int) -> None:
    found = ndcg(SCORES, LABELS, THERE, top)
    gains = (2**LABELS - 1).numpy()
    assert found[0].item() == pytest.approx(ndcg_score(gains[:1], SCORES[:1].numpy(), k=top))
    assert found[1].item() == pytest.approx(1 / math.log2(3) if top > 1 else 0)
    assert found[2].item() == 1


def test_ndcg_is_as_precise_under_autocast() -> None:
    alone = ndcg(SCORES, LABELS, THERE, 10)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ndcg(SCORES, LABELS, THERE, 10), alone)


def test_only_pairs_of_different_labels_count_and_padding_does_not() -> None:
    losses = pairwise(SCORES, LABELS, THERE)
    assert (losses > 0).sum((1, 2)).tolist() == [5, 1, 0]
    assert losses[0, 1, 0].item() == pytest.approx(math.log(1 + math.exp(0.4 - 0.3)))
    assert losses[1, 0, 1].item() == pytest.approx(math.log(1 + math.exp(2.0)))


def test_a_swap_is_worth_the_change_of_ndcg() -> None:
    weights = swaps(SCORES, LABELS, THERE)
    for one, other in ((0, 1), (1, 2), (2, 3)):
        swapped = SCORES.clone()
        swapped[0, [one, other]] = SCORES[0, [other, one]]
        change = ndcg(SCORES, LABELS, THERE, 4)[0] - ndcg(swapped, LABELS, THERE, 4)[0]
        assert weights[0, one, other].item() == pytest.approx(abs(change.item()), abs=1e-6)


def test_lambdas_are_pairs_weighted_by_their_swaps() -> None:
    scores = SCORES.clone().requires_grad_()
    LOSSES["lambda"](scores, LABELS, THERE).sum().backward()
    mine, weights = scores.grad, swaps(SCORES, LABELS, THERE)
    scores.grad = None
    (pairwise(scores, LABELS, THERE) * weights).sum().backward()
    torch.testing.assert_close(scores.grad, mine)


def test_the_listwise_loss_is_least_where_shares_are_those_of_the_gains() -> None:
    best = torch.tensor([[-30.0, math.log(3), 0.0, -30.0]])
    least = listwise(best, LABELS[:1], THERE[:1]).item()
    assert least == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert listwise(SCORES, LABELS, THERE)[0].item() > least
    assert listwise(SCORES, LABELS, THERE)[2].item() == 0


def test_padding_changes_nothing() -> None:
    scores, labels, there = (torch.nn.functional.pad(x, (0, 3)) for x in (SCORES, LABELS, THERE))
    whole = SCORES, LABELS, THERE
    torch.testing.assert_close(listwise(scores, labels, there), listwise(*whole))
    torch.testing.assert_close(ndcg(scores, labels, there, 10), ndcg(*whole, 10))
    torch.testing.assert_close(
        swaps(scores, labels, there)[:2, :2, :2], swaps(SCORES, LABELS, THERE)[:2, :2, :2]
    )
