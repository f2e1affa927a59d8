"""Trials of one shape trained as one: a step of all members is one kernel after another for all.

    group = Group([Member(parts, loop.restore(parts), optim), ...], shelves, over)
    group.train()                        # until every member is over

A member is an ordinary run with an ordinary model, optimizer, pace, curve and checkpoints; only the
gradients and the steps of all are computed together. torch maps the recipe's loss over a stack of
parameters (HFTA: Wang et al., 2021, does so by rewriting layers), and no sum crosses members, so
that one whose numbers are no longer finite fails alone. Results equal those of runs by themselves
up to rounding: matrix products are made in another order.
"""

from __future__ import annotations

import copy
import functools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from turnaround.engine import loop
from turnaround.engine.checkpoint import Disk
from turnaround.engine.fused.batches import Shelf, filled
from turnaround.engine.fused.recorded import Found, differentiated, recorded, same
from turnaround.engine.fused.rules import rule
from turnaround.engine.fused.stack import Stack
from turnaround.engine.lines import Point
from turnaround.engine.loop import Parts
from turnaround.engine.metrics import Mean
from turnaround.engine.pace import Progress
from turnaround.errors import ConfigError
from turnaround.spec import Optim

FAR = 60  # steps of one shape that are still to do, at least, for recording them: it takes as long
BRIEF = 0.01  # as 15 that spend their time on calling kernels; longer ones do not, in seconds
SEEN = 2  # of them that are looked at before
SPARSE = 0.5  # of the rows are members that go on, at least, or the others are left behind


@dataclass
class Member:
    """One run of a group."""

    parts: Parts
    now: Progress
    optim: Optim
    last: float = math.inf  # the step after which it is over, at the latest
    code: int | None = None  # once it is over
    rate: float = 0.0
    begin: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin = time.monotonic() - self.now.seconds

    def where(self) -> Point:
        """Where its last step stands."""
        feed, now = self.parts.feed, self.now
        epoch = feed.epoch(now.examples)
        return Point(now.step, epoch, now.examples, now.seconds, self.rate, feed.size)


class Known(Mean):
    """A loss that has been read: making tensors of it would take longer than all else here."""

    def __init__(self, total: float, count: float) -> None:
        self._pair = (total, count)


Over = Callable[[Member, Exception | None], int]  # its last words; the exit code


class Group:
    """Members that step together."""

    def __init__(self, members: Sequence[Member], shelves: dict[int, Shelf], over: Over) -> None:
        self.rows = list(members)  # of the stack; some may be over
        self._shelves = shelves  # by the id of a member's feed
        self._over = over
        self._clock = members[0].parts.clock
        self._recipe = members[0].parts.recipe
        self._compute = members[0].parts.compute
        self._like = next(iter(shelves.values())).like
        models = [member.parts.model for member in members]
        optimizers = [member.parts.update.optimizer for member in members]
        self._base = copy.deepcopy(models[0]).train()  # its structure; what is learnt is in rows
        self._kind = rule(members[0].optim.name)
        self.stack = Stack(models, optimizers, self._kind.slots, self._kind.counts)
        self._gradients: Tensor | None = None  # of the last step
        self._disk = Disk()
        for member in members:
            member.parts.checkpoints.disk = self._disk
        self._played: dict[Any, Callable[..., Found] | None] = {}  # by shape; none: as autograd
        self._took: dict[Any, list[float]] = {}  # seconds of such steps, as autograd
        self._doubted = False  # what is played is compared in the next step
        self._settle()

    @property
    def alive(self) -> list[Member]:
        """Those that go on."""
        return [member for member in self.rows if member.code is None]

    def train(self) -> None:
        """Until every member is over."""
        while True:
            if due := [row for row, member in enumerate(self.rows) if self._due(member)]:
                self._attend(due)
            if not self.alive:
                return
            if len(self.alive) < SPARSE * len(self.rows):
                self._compact()
            self.step()

    def warm(self) -> None:
        """A few steps, until they take as long as they will."""
        for _ in range(SEEN + 1):
            began = time.thread_time()
            self.step()
            if time.thread_time() - began > BRIEF:
                return

    def step(self) -> None:
        """One more of every member that goes on."""
        turn = self._clock.turn
        turn("data")
        batch, shared = self._batch()
        turn("compute")
        sums, counts, gradients = self._differentiated(batch, shared)
        turn("optimize")
        self._gradients = gradients
        norms = functools.cache(lambda: torch.linalg.vector_norm(gradients, dim=1))
        host = functools.cache(lambda: norms().cpu())
        turn("log")
        self._tell(sums.tolist(), counts.tolist(), host)
        turn("optimize")
        clipped = self._rule.clipped(gradients, norms()) if self._clips else gradients
        self._rule.move(self.stack, clipped, [member.rate for member in self.rows])
        turn("other")

    # ── what is computed ──

    def _batch(self) -> tuple[list[Tensor], bool]:
        """The tensors of the next batch, and whether it is the same for all members.

        Members that are over read what one that goes on does: their rows are in the way.
        """
        wanted = {}
        stand_in = self.alive[0]
        orders = []
        for member in self.rows:
            reader = member if member.code is None else stand_in
            key = (id(reader.parts.feed), reader.now.examples)
            orders.append(key)
            if key not in wanted:
                wanted[key] = reader.parts.feed.numbers(reader.now.examples)
        if len(wanted) == 1:
            (key,) = wanted
            return self._shelves[key[0]].rows(wanted[key]), True
        return self._laid(orders, wanted), False

    def _laid(
        self, orders: list[tuple[int, int]], wanted: dict[tuple[int, int], list[int]]
    ) -> list[Tensor]:
        """Each member's own batch, side by side: (members, examples, …)."""
        places = {key: place for place, key in enumerate(wanted)}
        read = [self._shelves[feed] for feed, _ in wanted]
        chosen = torch.tensor([places[key] for key in orders], device=self.stack.matrix.device)
        if len({id(shelf) for shelf in read}) == 1:
            flat = read[0].rows([n for numbers in wanted.values() for n in numbers])
            parts = [part.view(len(wanted), -1, *part.shape[1:]) for part in flat]
        else:
            each = [s.rows(numbers) for s, numbers in zip(read, wanted.values(), strict=True)]
            parts = [torch.stack(column) for column in zip(*each, strict=True)]
        return parts if len(wanted) == len(orders) else [part[chosen] for part in parts]

    def _differentiated(self, batch: list[Tensor], shared: bool) -> Found:
        """Sums, counts and gradients of each member's loss; played, where that pays."""
        shape = (shared, len(self.rows), *(part.shape for part in batch))
        losses = functools.partial(self._losses, shared)
        matrix = self.stack.matrix
        if self._worth(shape):
            self._played[shape] = recorded(losses, matrix, batch)
        if play := self._played.get(shape):
            found = play(matrix, batch)
            if self._doubted and not same(found, differentiated(losses, matrix, batch)):
                raise ConfigError("its loss changes by itself while it is trained", _HINT)
            self._doubted = False
            return found
        began, took = time.thread_time(), self._took.setdefault(shape, [])
        found = differentiated(losses, matrix, batch)
        if len(took) <= SEEN:
            took.append(time.thread_time() - began)
        return found

    def _worth(self, shape: Any) -> bool:
        """Steps of this shape are brief, and there are many to come."""
        took = self._took.get(shape, [])
        seen = len(took) == SEEN and shape not in self._played
        if not seen or min(took) > BRIEF or self.stack.matrix.device.type != "cpu":
            return False
        return max(member.last - member.now.step for member in self.alive) >= FAR

    def _losses(self, shared: bool, matrix: Tensor, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Each member's summed loss and its count: (members), with a graph."""
        sides = (0, None if shared else 0)
        sums, counts = vmap(self._loss, in_dims=sides)(self.stack.parameters(matrix), batch)
        return sums, counts.to(sums.dtype)

    def _loss(self, parameters: dict[str, Tensor], batch: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Of one member, as `loop.loss`."""
        whole: Any = filled(self._like, iter(batch))
        with self._compute():
            output = functional_call(self._base, parameters, self._recipe.inputs(whole))
            total, count = self._recipe.loss(output, whole).raw
        return total, torch.as_tensor(count, device=total.device)

    # ── what is said ──

    def _tell(self, sums: list[float], counts: list[float], norms: Callable[[], Tensor]) -> None:
        """Take the step down for each; one whose numbers are not finite fails here."""
        clock = time.monotonic()
        for row, member in enumerate(self.rows):
            if member.code is None:
                parts, now = member.parts, member.now
                member.rate = parts.rate(now)
                now.step += 1
                now.examples += parts.feed.size
                if not math.isfinite(sums[row]) and self._gradients is not None:
                    self.stack.show(row, self._gradients)  # to whoever looks for the cause
                try:
                    norm = functools.partial(_of, norms, row)
                    loss = Known(sums[row], counts[row])
                    parts.curve.add(now.step, now.seconds, loss, norm, member.where)
                except Exception as error:  # the member's door: it fails alone
                    member.code = self._over(member, error)
                now.stopping = parts.stopping()
                now.seconds = clock - member.begin

    def _due(self, member: Member) -> bool:
        return member.code is None and member.parts.pace.due(member.now)

    def _attend(self, rows: Sequence[int]) -> None:
        """What is due for these members; then the ends of those whose training is over."""
        ended = [self.rows[row] for row in rows if self._over_now(row)]
        self._save()
        for member in ended:
            self._conclude(member)
        self._doubted = True

    def _over_now(self, row: int) -> bool:
        """Do what is due for one member; whether its training is over."""
        member = self.rows[row]
        try:
            if self._gradients is not None:
                self.stack.show(row, self._gradients)
            return loop.attend(member.parts, member.now)
        except Exception as error:  # the member's door: it fails alone
            self._save()
            member.code = self._over(member, error)
            return False

    def _save(self) -> None:
        """All checkpoints that were made are on the disk."""
        with self._clock("checkpoint"):
            self._disk.settle()

    def _conclude(self, member: Member) -> None:
        """The end of one, whose checkpoints are safe."""
        try:
            with self._clock("finish"):
                loop.finish(member.parts, member.now)
            member.code = self._over(member, None)
        except Exception as error:  # the member's door: it fails alone
            member.code = self._over(member, error)

    # ── who is left ──

    def _compact(self) -> None:
        kept = [row for row, member in enumerate(self.rows) if member.code is None]
        self.stack.keep(kept)
        self.rows = [self.rows[row] for row in kept]
        self._gradients = None if self._gradients is None else self._gradients[kept]
        self._settle()

    def _settle(self) -> None:
        """The rule of those that are left."""
        specs = [member.optim for member in self.rows]
        self._rule = self._kind(specs, self.stack.matrix)
        self._clips = any(spec.clip for spec in specs)


_HINT = "fusible = False in the recipe"


def _of(norms: Callable[[], Tensor], row: int) -> Tensor:
    return norms()[row]
