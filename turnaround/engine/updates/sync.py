"""`update=sync`: all devices add up their gradients, then take the same step.

    update = Update(plan, world, layout, model, optimizer, scale)
    update.step(gradients, seen, rate)          # the parameters have moved once
    update.agree(now, stop, seconds)            # what all ranks must know alike, once a step
    with update.settled(): ...                  # the parameters to judge and to keep

The base of every other update, and complete: one group. Another overrides what differs.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from turnaround.engine.compress import KINDS
from turnaround.engine.layouts.base import Layout
from turnaround.engine.metrics import Mean
from turnaround.engine.optim import Scale, bare
from turnaround.engine.pace import Progress
from turnaround.engine.world import World, number
from turnaround.spec import Plan

Gradients = Callable[[], Mean]  # of the whole batch's loss, into .grad; the loss
Seen = Callable[[Mean], None]  # hears of the loss before anything moves


class Update:
    """One group in step."""

    exact = True  # draws the same loss curve as one device, as long as nothing is compressed
    judges = True  # this rank takes part in evaluations and saves
    exposed = 0.0  # seconds of the last step spent waiting for other groups

    def __init__(
        self,
        plan: Plan,
        world: World,
        layout: Layout,
        model: nn.Module,
        optimizer: Optimizer,
        scale: Scale,
    ) -> None:
        self.settings = plan.update
        self.world = world  # what the loop works with: whoever must do the same things together
        self.everyone = world  # those of all groups, who restore together
        self.layout = layout
        self.model = model
        self.optimizer = optimizer
        self.scale = scale
        self.steps = 0  # of this attempt
        self._step = bare(optimizer)
        self._key = (plan.seed, world.ranks[world.rank])
        if self.settings.compress != "none":
            self.exact = False
            layout.compress(KINDS[self.settings.compress], model)

    @staticmethod
    def reader(world: World, layout: Layout) -> tuple[int, int]:
        """Which share of every batch this rank reads: its number, and of how many."""
        return layout.reader()

    def place(self, now: Progress) -> int:
        """Where in the order of examples this rank's next batch begins."""
        return now.examples

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move the parameters once, at that learning rate; another update may ask more often."""
        self.pause()
        self.advance(gradients(), seen, rate)

    def advance(self, loss: Mean, seen: Seen, rate: float) -> None:
        """Along the gradients that are there, of this loss."""
        self.scale.begin(loss)
        seen(loss)
        self.scale.hand()
        self.move(rate)

    def move(self, rate: float) -> None:
        """One step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._step()

    def pause(self) -> None:
        """Wait a while, where a straggler is to be played."""
        if seconds := self.delay():
            time.sleep(seconds)

    def delay(self) -> float:
        """Seconds to wait before this step."""
        self.steps += 1
        self.exposed = 0.0
        mean = self.settings.straggle
        return drawn(mean, *self._key, self.steps) if mean else 0.0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Time inside is spent waiting for other groups."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.exposed += time.perf_counter() - began

    def agree(self, now: Progress, stop: bool, seconds: float) -> None:
        """Take down what all ranks must know alike: whether to stop, and rank 0's clock."""
        now.stopping, now.seconds = self.world.agree(stop, seconds)

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Inside, the model has the parameters that are to be judged and kept."""
        yield

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums over all that read different examples, name by name."""
        return self.layout.total(sums)

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on; every rank asks."""
        return self.layout.state_dict(self.model, self.optimizer)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, also of another update's."""
        self.layout.load_state_dict(self.model, self.optimizer, state)

    def numbers(self) -> dict[str, float]:
        """What this way of agreeing cost so far, by the names of metrics."""
        sent = self.layout.reduce.bytes
        return {"update/bytes": sent / self.steps} if sent else {}

    def news(self) -> list[str]:
        """What the user should be warned of."""
        return []

    def close(self) -> None:
        """Training is over; what is left is to judge and to say."""

    def leave(self) -> None:
        """All is said."""


def drawn(mean: float, *key: int) -> float:
    """Seconds of an exponential delay, the same for the same key."""
    return -mean * math.log1p(-number(*key) / 2**56)
