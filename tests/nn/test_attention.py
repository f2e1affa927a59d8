from __future__ import annotations

import pytest
import torch
from torch import Tensor

from turnaround.nn.attention import Attention


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(query=3, key=4, width=5).double()


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_it_is_the_formula_of_the_paper(attention: Attention) -> None:
    queries, annotations = random(1, 2, 3), random(1, 6, 4)
    absent = torch.zeros(1, 6, dtype=torch.bool)
    seen = attention(queries, attention.keys(annotations), annotations, absent)
    for query, mean in zip(queries[0], seen[0], strict=True):
        energies = torch.stack(
            [
                attention.energy(torch.tanh(attention.of_query(query) + attention.of_key(key)))
                for key in annotations[0]
            ]
        )
        weights = energies.exp() / energies.exp().sum()
        torch.testing.assert_close(mean, (weights * annotations[0]).sum(0))


def test_padding_is_never_looked_at(attention: Attention) -> None:
    queries, annotations = random(2, 3, 3), random(2, 6, 4)
    absent = torch.zeros(2, 6, dtype=torch.bool)
    absent[:, 4:] = True
    padded = attention(queries, attention.keys(annotations), annotations, absent)
    cut, none = annotations[:, :4], absent[:, :4]
    torch.testing.assert_close(padded, attention(queries, attention.keys(cut), cut, none))


def test_one_query_at_a_time_sees_what_all_at_once_see(attention: Attention) -> None:
    queries, annotations = random(2, 3, 3), random(2, 6, 4)
    keys, absent = attention.keys(annotations), torch.zeros(2, 6, dtype=torch.bool)
    single = [attention(queries[:, [i]], keys, annotations, absent) for i in range(3)]
    torch.testing.assert_close(attention(queries, keys, annotations, absent), torch.cat(single, 1))
