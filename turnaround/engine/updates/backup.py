"""`update=backup`: a step waits for the first N of N + b groups, and drops what comes late.

    turnaround run … update=backup update.groups=6 update.spares=1

Chen et al. (2016, arXiv 1604.00981): each group reads its own share of the batch, and the step is
that of the mean over the shares of the first N. A late group stops what it is doing, between two
modules of the model, and takes the same step, so all parameters stay alike. Which examples a step
drops depends on the machine's moods; where slowness comes from the data, as with long sequences,
bucket them by length (data.bucket), or the slow ones are learnt less.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from turnaround.engine.layouts.base import Layout
from turnaround.engine.metrics import Mean
from turnaround.engine.optim import Scale
from turnaround.engine.pace import Progress
from turnaround.engine.service.first import Caller, First
from turnaround.engine.service.wire import call
from turnaround.engine.updates import sync
from turnaround.engine.updates.local import share
from turnaround.engine.updates.sync import Gradients, Seen
from turnaround.engine.world import World
from turnaround.spec import Plan

LEAVE = 5.0  # seconds in which the other groups say goodbye


class Late(Exception):
    """The step is over; there is no use in going on with it."""


class Update(sync.Update):
    """The first groups decide."""

    exact = False  # which gradients a step drops depends on time

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
        self.group = layout.world
        self.peers = world.across(self.group.size)
        groups = world.size // self.group.size
        enough = max(1, groups - self.settings.spares)
        self.service = First(enough, world.host) if world.leads else None
        door = world.share(self.service and [*self.service.door.address, self.service.door.token])
        self.caller: Caller | None = None
        if self.group.rank == 0:
            number = world.rank // self.group.size
            self.caller = Caller(call((door[0], door[1]), door[2], number))
        world.meet()  # the first step counts who is there
        self._learning = False
        self._wish, self._seconds = False, 0.0
        self._word: dict[str, Any] = {}  # the service's last
        if self.group.size == 1:  # else a rank that stops leaves its neighbours waiting
            for module in model.modules():
                module.register_forward_pre_hook(self._check)

    @staticmethod
    def reader(world: World, layout: Layout) -> tuple[int, int]:
        """Each group its own share of every batch."""
        return share(world, layout)

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move the parameters along what the first groups have found."""
        mine = None if self._waited(self.delay()) else self._computed(gradients)
        if self.caller:
            gradient = None if mine is None else self._flat()
            loss = [0.0, 0.0] if mine is None else [*mine.pair]
            told = {"stop": self._wish, "seconds": self._seconds}
            self.caller.send(self.steps, gradient, loss=loss, **told)
        self.advance(self._take(), seen, rate)

    def agree(self, now: Progress, stop: bool, seconds: float) -> None:
        """As the last result said: nobody waits for a late rank's word."""
        wish, self._seconds = self.group.agree(stop, seconds)
        self._wish |= wish
        now.stopping, now.seconds = self._word["stop"], self._word["seconds"]

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """From here on running buffers are the first group's, which are what is kept."""
        self.peers.align(self.layout.running(self.model))
        yield

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums over all groups."""
        return self.peers.total(super().total(sums))

    def numbers(self) -> dict[str, float]:
        """Bytes between a group and the service, by step; gradients that were not waited for."""
        if self.service is None or self.caller is None:
            return {}
        moved = self.caller.line.sent + self.caller.line.received
        return {
            "update/bytes": moved / max(self.steps, 1),
            "update/dropped": float(self.service.dropped),
        }

    def news(self) -> list[str]:
        """Which groups were lost since somebody asked."""
        lost = [] if self.service is None else self.service.lost
        return [f"group {lost.pop(0)} was lost" for _ in range(len(lost))]

    def leave(self) -> None:
        """The service ends with the run."""
        if self.service:
            self.service.over = True
        if self.caller:
            self.caller.leave()
        if self.service:
            self.service.close(LEAVE)

    # ── one step ──

    def _waited(self, seconds: float) -> bool:
        """Play the straggler for a while; whether the step was over before it began here."""
        over = self.caller.wait(self.steps, seconds) if self.caller else False
        return bool(self.group.share(over))

    def _computed(self, gradients: Gradients) -> Mean | None:
        """The loss, with its gradients in place; none when it was too late."""
        self._learning = True
        try:
            return gradients()
        except Late:
            return None
        finally:
            self._learning = False

    def _check(self, module: nn.Module, inputs: Any) -> None:
        if self._learning and self.caller and self.caller.over(self.steps):
            raise Late

    def _flat(self) -> Tensor:
        return torch.cat([_gradient(p).to_dense().flatten() for p in self._parameters])

    @torch.no_grad()
    def _take(self) -> Mean:
        """The step's gradients into the parameters; its loss."""
        like, device = self._parameters[0], self.world.device
        flat = torch.empty(
            sum(p.numel() for p in self._parameters), dtype=like.dtype, device=device
        )
        word: dict[str, Any] = {}
        with self.waiting():
            if self.caller:
                word, values = self.caller.result(self.steps)
                flat.copy_(values)
            self._word = self.group.share(word)
        if self.group.size > 1:
            dist.broadcast(flat, self.group.ranks[0], group=self.group.group)
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter, part in zip(self._parameters, torch.split(flat, sizes), strict=True):
            parameter.grad = _gradient(parameter).to_dense().copy_(part.view_as(parameter))
        return Mean(torch.tensor(self._word["loss"], dtype=torch.float64, device=device))

    @functools.cached_property
    def _parameters(self) -> list[nn.Parameter]:
        return list(self.layout.parameters(self.model).values())


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
