"""A step's kernels, recorded once and played from then on: without vmap and without autograd.

    step = recorded(losses, matrix, batch)       # none where that cannot be
    sums, counts, gradients = step(matrix, batch)

Of a step of 16 small perceptrons two thirds are spent on finding out which kernels to call. What is
played is what autograd would have called, so no bit differs; that is looked at here. A recipe whose
loss depends on more than parameters and batch (a counter in its forward pass) would be played as it
was when it was recorded: `Group` compares every now and then.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

# Kernels that make another view; where it is the same as what they are given, they are left out.
_aten = torch.ops.aten
SEEMING = (_aten.detach.default, _aten.alias.default, _aten.view.default, _aten.expand.default)
Losses = Callable[[Tensor, list[Tensor]], tuple[Tensor, Tensor]]  # sums and counts of each member
Found = tuple[Tensor, Tensor, Tensor]  # sums (members), counts (members), gradients


def differentiated(losses: Losses, matrix: Tensor, batch: Sequence[Tensor]) -> Found:
    """By autograd; gradients (members, numbers) of each member's mean loss."""
    sums, counts = losses(matrix, list(batch))
    (gradients,) = torch.autograd.grad(sums, matrix, 1 / counts)
    return sums.detach(), counts, gradients


def recorded(
    losses: Losses, matrix: Tensor, batch: Sequence[Tensor]
) -> Callable[[Tensor, Sequence[Tensor]], Found] | None:
    """The same, for matrices and batches of these shapes; none where it cannot be recorded."""

    def play(matrix: Tensor, batch: Sequence[Tensor]) -> Found:
        with torch.no_grad():
            found: Found = made(matrix.detach(), *batch)
        return found

    try:
        plain = matrix.detach()
        tape = Tape([plain, *batch])
        with tape:
            found = differentiated(losses, plain.view_as(plain).requires_grad_(), batch)
        made = tape.module(found)
        other = (plain + plain.roll(1, 0)).requires_grad_()  # what is fixed by mistake shows
        mixed = [part.roll(1, -1).roll(1, 0) for part in batch]
        return play if same(play(other, mixed), differentiated(losses, other, mixed)) else None
    except Exception:  # some operation cannot be recorded: it is computed as before
        return None


def same(one: Found, other: Found) -> bool:
    """Bit by bit, but for what is no number."""
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]  # as torch wrote it
    """Notes each kernel that is called, and of what."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as torch wrote it
        self._graph, self._root = Graph(), nn.Module()
        self._kept: list[Tensor] = []  # so that no other gets the id of one that has gone
        self._nodes: dict[int, Node] = {}
        for place, tensor in enumerate(given):
            self._name(tensor, self._graph.placeholder(f"given{place}"))

    def module(self, found: Sequence[Tensor]) -> GraphModule:
        """What was called, to be called again."""
        self._graph.output(tuple(self._nodes[id(tensor)] for tensor in found))
        self._graph.eliminate_dead_code()
        return GraphModule(self._root, self._graph)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One kernel."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        if func in SEEMING and _alike(found, args[0]):
            self._name(found, self._node(args[0]))
            return found
        if func is _aten.lift_fresh.default:  # what is made of a constant leaves it alone
            func = _aten.lift_fresh_copy.default
        node = self._graph.call_function(
            func, tree_map(self._node, args), tree_map(self._node, kwargs)
        )
        if isinstance(found, Tensor):
            self._name(found, node)
            return found
        for place, each in enumerate(found):  # a number is no tuple: it cannot be recorded
            if isinstance(each, Tensor):
                self._name(each, self._graph.call_function(operator.getitem, (node, place)))
        return found

    def _name(self, tensor: Tensor, node: Node) -> None:
        self._kept.append(tensor)
        self._nodes[id(tensor)] = node

    def _node(self, value: Any) -> Any:
        """The node that made it; a tensor that nobody made is a constant."""
        if not isinstance(value, Tensor):
            return value
        if id(value) not in self._nodes:
            name = f"constant{len(self._kept)}"
            setattr(self._root, name, value)
            self._name(value, self._graph.get_attr(name))
        return self._nodes[id(value)]


def _alike(one: Tensor, other: Tensor) -> bool:
    """The same numbers in the same places."""
    place = one.data_ptr() == other.data_ptr() and one.dtype == other.dtype
    return place and one.shape == other.shape and one.stride() == other.stride()
