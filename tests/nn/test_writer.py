from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from turnaround.nn.sentences import END, PAD, prefix
from turnaround.nn.writer import Memory, State, Writer

TOKENS, WIDTH = 7, 8


class Namer(Writer):
    """It writes about a vector and three places beside it, of which the last is padding."""

    def __init__(self, looks: bool, layers: int = 1) -> None:
        super().__init__()
        self.reader = nn.Linear(5, layers * 2 * WIDTH)
        self.places = nn.Linear(5, 3 * WIDTH)
        self.writes(TOKENS, WIDTH, layers, looks=looks)

    def encode(self, source: Tensor) -> tuple[State, Memory]:
        first = self.reader(source).unflatten(1, (2, self.decoder.num_layers, WIDTH))
        hidden, cell = first.permute(1, 2, 0, 3).contiguous()
        absent = torch.tensor([False, False, True]).expand(len(source), 3)
        return (hidden, cell), self.memory(self.places(source).unflatten(1, (3, WIDTH)), absent)


@pytest.fixture(params=[(True, 1), (False, 1), (True, 2)], ids=["looks", "does not", "two layers"])
def namer(request: pytest.FixtureRequest) -> Namer:
    torch.manual_seed(0)
    return Namer(*request.param).double().eval()


def sources(count: int = 4) -> Tensor:
    return torch.randn(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_what_it_writes_is_as_likely_as_training_says(namer: Namer) -> None:
    namer.out.bias.data[[PAD, END]] = torch.tensor([-99.0, 1.0]).double()  # untrained it babbles
    found = namer.written(sources(), beam=3, longest=torch.full((4,), 30))
    rows = [torch.tensor([*tokens, END]) for tokens in found.tokens]
    target = nn.utils.rnn.pad_sequence(rows, True, PAD)
    logits = namer(sources(), prefix(target))
    chosen = logits.log_softmax(1).gather(1, target[target != PAD].unsqueeze(1))
    lengths = [len(row) for row in rows]
    sums = [part.sum().item() for part in chosen.split(lengths)]
    assert found.log_probs == pytest.approx(sums)


def test_its_parts_are_its_own_whatever_reads(namer: Namer) -> None:
    names = {name.split(".")[0] for name in namer.state_dict()} - {"reader", "places"}
    looks = {"attention"} if namer.attention is not None else set()
    assert names == {"write", "decoder", "mix", "out"} | looks


def test_what_is_not_there_is_not_looked_at(namer: Namer) -> None:
    before = namer(sources(), torch.tensor([[1, 4, 5]] * 4))
    namer.places.weight.data[2 * WIDTH :] += 1.0
    torch.testing.assert_close(namer(sources(), torch.tensor([[1, 4, 5]] * 4)), before)


def test_one_that_reads_nothing_says_so() -> None:
    writer = Writer()
    writer.writes(TOKENS, WIDTH)
    with pytest.raises(NotImplementedError):
        writer(sources(), torch.tensor([[1]] * 4))
