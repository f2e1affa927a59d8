from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from turnaround.engine.layouts import blocks
from turnaround.errors import ConfigError
from turnaround.spec import Layout


class Counted(nn.Linear):
    """A layer that knows how often it was called."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counted.calls += 1
        return super().forward(x)


class Around(nn.Module):
    """A block of several layers."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Stack(nn.Module):
    """Blocks, one after another."""

    def __init__(self, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def test_members_of_stacks_and_recurrent_layers_are_blocks() -> None:
    model = nn.ModuleDict(
        {
            "embed": nn.Embedding(3, 4),
            "stack": nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4)]),
            "head": nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)),
            "lstm": nn.LSTM(4, 4),
        }
    )
    assert sorted(name for name, _ in blocks.of(model)) == [
        "head.1",
        "lstm",
        "stack.0.0",
        "stack.1",
    ]


def test_a_block_inside_a_block_comes_first() -> None:
    inner = nn.Sequential(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2))
    outer = nn.ModuleList([nn.ModuleDict({"inside": inner})])
    assert [name for name, _ in blocks.of(outer)] == ["0.inside.1", "0.inside.0.0", "0"]


def test_a_forgetful_block_is_computed_twice_and_learns_the_same() -> None:
    torch.manual_seed(0)
    pair = nn.Sequential(Counted(4, 4), nn.Dropout(0.5), Counted(4, 1))
    model, x = Stack(nn.ModuleList([Around(pair)])), torch.randn(3, 4)
    names = list(model.state_dict())
    gradients = []
    for _ in range(2):
        Counted.calls = 0
        torch.manual_seed(1)
        model.zero_grad()
        model(x).sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        calls = Counted.calls
        blocks.tune(model, Layout(activation_checkpointing=True))
    assert calls == 4
    assert list(model.state_dict()) == names
    for before, after in zip(*gradients, strict=True):
        torch.testing.assert_close(after, before)


def test_a_model_without_blocks_cannot_forget() -> None:
    with pytest.raises(ConfigError, match=r"found no blocks of several layers"):
        blocks.forget(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
