from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from turnaround.engine.layouts.carrier import Carrier
from turnaround.engine.world import World


@pytest.fixture(params=[2, 3, 7])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=[torch.float32, torch.float64])
def carriers(size: int, request: pytest.FixtureRequest) -> list[Carrier]:
    worlds = [World(torch.device("cpu"), rank, size) for rank in range(size)]
    return [Carrier(nn.Linear(2, 2).to(request.param), world) for world in worlds]


def backward(carriers: list[Carrier]) -> None:
    """Every rank's gradient becomes the mean of all."""
    mean = torch.stack([carrier.load[1] / len(carriers) for carrier in carriers]).sum(0)
    for carrier in carriers:
        carrier.parameter.grad = mean.clone()


def test_numbers_survive_the_mean_of_narrower_gradients(size: int, carriers: list[Carrier]) -> None:
    sent = torch.rand(size, 4, dtype=torch.float64) * 1e9
    sent[0, 3] = torch.inf
    arrived = [carrier.send(row) for carrier, row in zip(carriers, sent, strict=True)]
    backward(carriers)
    assert all(torch.equal(sums(), sent.sum(0)) for sums in arrived)


def test_so_do_plain_numbers(size: int, carriers: list[Carrier]) -> None:
    sent = [[rank / 7, 64.0, -0.0, math.inf if rank else 1.0] for rank in range(size)]
    arrived = [carrier.tell(row) for carrier, row in zip(carriers, sent, strict=True)]
    backward(carriers)
    total = [sum(column) for column in zip(*sent, strict=True)]
    assert all(list(sums()) == total for sums in arrived)


def test_fewer_numbers_may_come_first() -> None:
    carrier = Carrier(nn.Linear(2, 2), World(torch.device("cpu")))
    for numbers in ([1.5, 3.0], [2.5, 4.0, 1.0, 0.1]):
        values = torch.tensor(numbers, dtype=torch.float64)
        arrived, told = carrier.send(values), carrier.tell(numbers)
        carrier.parameter.grad = carrier.load[1]
        assert torch.equal(arrived()[: len(numbers)], values)
        assert list(told()[: len(numbers)]) == numbers
