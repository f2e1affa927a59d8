"""Losses and scores of lists whose order is to be learnt: pairwise, list-wise, lambdas, NDCG.

    LOSSES["pairwise"](scores, labels, there)    # (lists, …): to be summed
    ndcg(scores, labels, there, top=10)          # (lists)

All take scores, labels from 0 and whether there is anything at a place: (lists, places).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def pairwise(scores: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    """log(1 + exp(s⁻ − s⁺)) of each pair whose first has the higher label, else 0 (RankNet).

    (lists, places, places).
    """
    above = (labels[:, :, None] > labels[:, None]) & there[:, None] & there[:, :, None]
    return softplus(scores[:, None] - scores[:, :, None]) * above


def lambdas(scores: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    """The same, each by what its swap is worth, which has no gradient: (lists, places, places)."""
    return pairwise(scores, labels, there) * swaps(scores.detach(), labels, there)


def listwise(scores: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    """Cross entropy of the softmax of scores and shares of gains (ListNet: Cao et al., 2007)."""
    chances = scores.masked_fill(~there, -torch.inf).log_softmax(1).masked_fill(~there, 0.0)
    worth = gains(labels)
    return -(worth / worth.sum(1, keepdim=True).clamp(min=1e-9) * chances).sum(1)


def swaps(scores: Tensor, labels: Tensor, there: Tensor) -> Tensor:
    """How much NDCG, of all places, changes when two change theirs (LambdaRank: Burges, 2010)."""
    discount = _discounts(labels)[_order(scores, there).argsort(1)]
    worth = gains(labels)
    ideal = (worth.sort(1, descending=True).values * _discounts(labels)).sum(1).clamp(min=1e-9)
    change = (worth[:, :, None] - worth[:, None]) * (discount[:, :, None] - discount[:, None])
    return change.abs() / ideal[:, None, None]


def ndcg(scores: Tensor, labels: Tensor, there: Tensor, top: int) -> Tensor:
    """Of each list's first places; 1 where nothing is worth anything, as LightGBM has it."""
    worth, discounts = gains(labels), _discounts(labels)[:top]
    # Products and sums, not `@`, which autocast would do in bf16: off by 0.002.
    found = (worth.gather(1, _order(scores, there))[:, :top] * discounts).sum(1)
    ideal = (worth.sort(1, descending=True).values[:, :top] * discounts).sum(1)
    return torch.where(ideal > 0, found / ideal.clamp(min=1e-9), 1.0)


def gains(labels: Tensor) -> Tensor:
    """What it is worth to show one of that label: 2^label − 1; nothing where nothing is."""
    return 2**labels - 1


def _discounts(labels: Tensor) -> Tensor:
    """Of the places of a list, from the first: (places)."""
    return 1 / (torch.arange(labels.shape[1]).to(labels) + 2).log2()


def _order(scores: Tensor, there: Tensor) -> Tensor:
    """Of each list by its scores, what is not there last."""
    return scores.masked_fill(~there, -torch.inf).argsort(dim=1, descending=True, stable=True)


LOSSES = {"pairwise": pairwise, "listwise": listwise, "lambda": lambdas}
