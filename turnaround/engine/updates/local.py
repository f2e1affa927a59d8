"""`update=local`: groups step on their own, and every so often agree on the mean of their changes.

    turnaround run … update=local update.groups=4 update.every=50

DiLoCo (Douillard et al., 2023, arXiv 2311.08105, algorithm 1): after H inner steps the mean of all
groups' changes, weighted by how many targets each has seen, is the gradient of an outer step of SGD
with Nesterov momentum. With outer_lr=1 and outer_momentum=0 that is federated averaging (McMahan et
al., 2017); with every=1 and inner SGD besides, it is one large synchronous batch. The states of
inner optimizers stay where they are.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import SGD, Optimizer

from turnaround.engine.layouts.base import Layout
from turnaround.engine.metrics import Mean
from turnaround.engine.optim import Scale
from turnaround.engine.pace import Progress
from turnaround.engine.updates import sync
from turnaround.engine.updates.sync import Gradients, Seen
from turnaround.engine.world import World
from turnaround.spec import Plan

EVERY = 50  # steps between agreements when nobody says how many
PULSE = 16  # steps after which ranks ask each other whether to stop, at most

Held = list[Tensor]  # one tensor for each of this rank's parameters


class Update(sync.Update):
    """Groups that agree every so often."""

    exact = False  # between agreements groups differ, and each clips its own gradient

    def __init__(
        self,
        plan: Plan,
        world: World,
        layout: Layout,
        model: nn.Module,
        optimizer: Optimizer,
        scale: Scale,
    ) -> None:
        super().__init__(plan, world, layout, model, optimizer, scale)
        self.peers = world.across(layout.world.size)
        self.every = self.settings.every or EVERY
        self.age = 0  # steps since the last agreement
        self.since = self._zeros()  # (sum, count) of this group's loss in them
        self.bytes = 0  # handed to the network, between groups
        self._mine = list(layout.parameters(model).values())
        self.peers.align((*self._mine, *model.buffers()))
        self._outer = [Parameter(p.detach().clone()) for p in self._mine]
        lr, momentum = self.settings.outer_lr, self.settings.outer_momentum
        self._outward = SGD(self._outer, lr, momentum, nesterov=momentum > 0)

    @staticmethod
    def reader(world: World, layout: Layout) -> tuple[int, int]:
        """Each group its own share of every batch."""
        return share(world, layout)

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move this group's parameters once; when it is time, everybody's together."""
        self.pause()
        loss = gradients()
        self.age += 1
        self.since += loss.values
        with self.waiting():
            total = self._total() if self.age == self.every else None
        self.scale.begin(loss)  # what the other groups have seen is heard of when they agree:
        seen(loss if total is None else Mean(total - self.since + loss.values))
        self.scale.hand()
        self.move(rate)
        if total is not None:
            self._meet(total)

    def agree(self, now: Progress, stop: bool, seconds: float) -> None:
        """Ranks wait for each other now and then only: that is what this update is for."""
        if now.step % min(self.every, PULSE) == 0:
            super().agree(now, stop, seconds)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Inside, the parameters are those of an agreement at this moment; afterwards as before.

        Running buffers stay those of the first group, the only ones that anybody looks at.
        """
        self.peers.align(self.layout.running(self.model))
        if self.age == 0:
            yield
            return
        mine, outer = _copies(self._mine), _copies(self._outer)
        age, since = self.age, self.since.clone()
        momenta = copy.deepcopy(self._outward.state_dict())
        self._meet(self._total())
        try:
            yield
        finally:
            _put(self._mine, mine)
            _put(self._outer, outer)
            self._outward.load_state_dict(momenta)
            self.age, self.since = age, since

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums over all groups."""
        return self.peers.total(super().total(sums))

    def state_dict(self) -> dict[str, Any]:
        """Every group's own state, the outer step's, and what they would agree on now."""
        mine = copy.deepcopy(super().state_dict())  # what follows moves the parameters
        since = self.peers.gather(self.since.tolist())
        groups = [
            {**state, "since": s} for state, s in zip(self._gathered(mine), since, strict=True)
        ]
        outer = copy.deepcopy(self._outer_state())
        local = {"age": self.age, "groups": groups, "outer": outer}
        with self.settled():
            return {**copy.deepcopy(super().state_dict()), "local": local}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Where this group was; where all were alike if there were others, or another update."""
        kept = state.get("local")
        if kept is None or len(kept["groups"]) != self.peers.size:
            super().load_state_dict(state)
            _put(self._outer, _copies(self._mine))
            return
        mine = kept["groups"][self.peers.rank]
        super().load_state_dict(mine)
        self.age = kept["age"]
        self.since = self._zeros() + torch.tensor(mine["since"], dtype=torch.float64).to(self.since)
        self._load_outer(kept["outer"])

    def numbers(self) -> dict[str, float]:
        """Bytes between groups, by step."""
        return {"update/bytes": self.bytes / max(self.steps, 1)}

    # ── agreeing ──

    def _total(self) -> Tensor:
        """Of all groups since the last agreement: (sum, count) of the loss."""
        return self.peers.sum(self.since.clone())

    def _zeros(self) -> Tensor:
        return torch.zeros(2, dtype=torch.float64, device=self.world.device)

    @torch.no_grad()
    def _meet(self, total: Tensor) -> None:
        """One outer step along the mean change, and everybody goes on from where it leads."""
        weight = (self.since[1] / total[1]).item()
        changes = [
            ((o - m) * weight).flatten() for o, m in zip(self._outer, self._mine, strict=True)
        ]
        with self.waiting():
            mean = self.peers.sum(torch.cat(changes))
        self.bytes += mean.nbytes * (self.peers.size > 1)
        sizes = [outer.numel() for outer in self._outer]
        for outer, change in zip(self._outer, torch.split(mean, sizes), strict=True):
            outer.grad = change.view_as(outer)
        self._outward.step()
        _put(self._mine, list(self._outer))
        self.age = 0
        self.since.zero_()

    # ── what is kept ──

    def _gathered(self, state: Any) -> list[Any]:
        """Every group's `state`, on the first; on the others their own stands for it."""
        if self.peers.size == 1:
            return [state]
        if isinstance(state, dict):
            parts = {key: self._gathered(value) for key, value in state.items()}
            return [{key: part[i] for key, part in parts.items()} for i in range(self.peers.size)]
        if not isinstance(state, Tensor):
            return [state] * self.peers.size
        mine = state.detach().contiguous()
        room = [torch.empty_like(mine) for _ in self.peers.ranks]
        writes = self.peers.rank == 0
        dist.gather(mine, room if writes else None, self.peers.ranks[0], self.peers.group)
        return room

    def _outer_state(self) -> dict[str, dict[str, Any]]:
        """The outer parameters and their momenta, by name."""
        names = self.layout.parameters(self.model)
        momenta = self._outward.state_dict()["state"]
        parts = {
            name: {"outer": outer.detach(), **momenta.get(i, {})}
            for i, (name, outer) in enumerate(zip(names, self._outer, strict=True))
        }
        return self.layout.gathered(self.model, parts)

    def _load_outer(self, saved: dict[str, dict[str, Any]]) -> None:
        parts = [self.layout.part(name, saved[name]) for name in self.layout.parameters(self.model)]
        _put(self._outer, [part["outer"] for part in parts])
        momenta = {
            i: {k: v for k, v in part.items() if k != "outer"} for i, part in enumerate(parts)
        }
        groups = self._outward.state_dict()["param_groups"]
        self._outward.load_state_dict({"state": momenta, "param_groups": groups})


def share(world: World, layout: Layout) -> tuple[int, int]:
    """Which share of every batch a rank reads when each group reads its own."""
    part, parts = layout.reader()
    group, groups = world.rank // layout.world.size, world.size // layout.world.size
    return group * parts + part, groups * parts


def _copies(tensors: list[Parameter]) -> Held:
    return [tensor.detach().clone() for tensor in tensors]


@torch.no_grad()
def _put(parameters: list[Parameter], values: list[Any]) -> None:
    """Copy the values in."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
