"""`update=hybrid`, and `async`, its preset for groups of one device: each group at its own pace.

    turnaround run … update=async update.groups=8
    turnaround run … update=hybrid update.groups=4 layout=ddp layout.replicate=2

Downpour (Dean et al., 2012): a group fetches the parameters, steps, and pushes its gradient to a
service that moves the parameters at once; it waits for no other group. The service runs in the
process of rank 0, whose group also judges and saves; the run goes on when another group dies.
With one group it is `sync`. Batch k of group g of M is the (kM + g)-th of the common order, so no
two groups read the same examples in the same epoch, and what a dead group would have read is
skipped.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from turnaround.engine import optim
from turnaround.engine.compress import KINDS
from turnaround.engine.layouts.base import Layout
from turnaround.engine.optim import Scale
from turnaround.engine.pace import Progress
from turnaround.engine.service import wire
from turnaround.engine.service.parameters import Record, Rows, Service, Values, mean
from turnaround.engine.service.wire import Head, Line, call
from turnaround.engine.updates import sync
from turnaround.engine.updates.sync import Gradients, Seen
from turnaround.engine.world import World
from turnaround.spec import Plan

LEAVE = 5.0  # seconds in which the other groups end the step they are at
_OWN = ("optimizer", "service")  # in a checkpoint: what the service has


class Update(sync.Update):
    """Groups that push and pull when they are ready."""

    exact = False  # a gradient is of parameters that other groups have moved meanwhile

    def __init__(
        self,
        plan: Plan,
        world: World,
        layout: Layout,
        model: nn.Module,
        optimizer: Optimizer,
        scale: Scale,
    ) -> None:
        super().__init__(plan, layout.world, layout, model, optimizer, scale)
        self.everyone = world  # all groups
        self.group, self.groups = world.rank // self.world.size, world.size // self.world.size
        self.judges = self.group == 0
        self.every = self.settings.every or 1
        self.pull = self.settings.pull or self.every
        self.batch = plan.data.batch
        self.service = self._serve(plan, world) if world.leads else None
        door = world.share(self.service and [*self.service.door.address, self.service.door.token])
        self.line = self._call(door) if self.world.rank == 0 else None
        self.record: Head | None = None  # the service's last word; none: this group has not begun
        self.version = 0  # of the parameters that are here, counting this group's own pushes
        self.begin = 0  # in the order of examples: where this attempt's first batch begins
        self._resumed: dict[str, Any] | None = None
        self._wish, self._seconds = False, 0.0
        self._sums: list[Tensor] = []  # of gradients since the last push
        self._since: list[int] | None = None  # of each shard: its pushes that are in what is here
        self._tables = tables(plan, layout, model)

    def place(self, now: Progress) -> int:
        """Every M-th batch of this attempt."""
        return self.begin + (self.steps * self.groups + self.group) * self.batch

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move the parameters along this group's gradient: the service's when it is time."""
        if self.record is None:
            self._open()
            self._ask({"op": "pull", "pull": True})
        self.pause()
        loss = gradients()
        self.scale.begin(loss)
        seen(loss)
        self.scale()
        self._add()
        if self.steps % self.every == 0:
            self._push(rate)
        if self.steps % self.pull:
            self._move(rate)

    def agree(self, now: Progress, stop: bool, seconds: float) -> None:
        """Take the service's word for how far all groups together are, and whether to stop."""
        wish, self._seconds = self.world.agree(stop, seconds)
        self._wish |= wish
        if self.steps % self.every or self.record is None:
            return
        word = self.record
        now.step, now.examples, now.seconds = word["steps"], word["examples"], word["seconds"]
        now.stopping = word["stop"]

    @contextlib.contextmanager
    def settled(self) -> Iterator[None]:
        """Inside, the parameters are the service's."""
        if self.record is None:
            yield
            return
        held = self.layout.parameters(self.model)
        before = {name: parameter.detach().clone() for name, parameter in held.items()}
        record, version, since = self.record, self.version, self._since
        self._ask({"op": "pull", "pull": True})
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in held.items():
                    parameter.copy_(before[name])
            self.record, self.version, self._since = record, version, since

    def state_dict(self) -> dict[str, Any]:
        """The service's parameters and optimizer state, of one moment."""
        state = super().state_dict()
        if self.service is None or self.record is None:
            return state | {key: (self._resumed or {}).get(key, state.get(key)) for key in _OWN}
        values, moments, record = self.service.state()
        read = self.begin + record.batches * self.groups * self.batch
        told = {"steps": record.steps, "examples": record.examples, "read": read}
        model = {**state["model"], **values}
        return {**state, "model": model, "optimizer": moments, "service": told}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What the service goes on from, whichever update has saved it."""
        self.layout.load_weights(self.model, state["model"])
        progress = state["progress"]
        told = state.get("service") or {**progress, "read": progress["examples"]}
        self.begin = told["read"]
        self._resumed = state | {"service": told | {"steps": told.get("steps", progress["step"])}}

    def numbers(self) -> dict[str, float]:
        """How stale gradients were when they arrived, and what a step of one group moves."""
        if self.service is None or self.line is None:
            return {}
        record = self.service.record
        moved = (self.line.sent + self.line.received) / max(self.steps, 1)
        stale = {"update/staleness": mean(record), "update/stalest": float(record.stalest)}
        return {"update/bytes": moved, **stale, "update/groups": float(self.service.groups)}

    def news(self) -> list[str]:
        """Which groups were lost since somebody asked."""
        lost = [] if self.service is None else self.service.lost
        told = [f"group {lost.pop(0)} was lost; the others go on" for _ in range(len(lost))]
        return told

    def close(self) -> None:
        """This group leaves; where the service is, all others are told to."""
        if self.service:
            self.service.stop()
        if self.line and not self.judges:
            self._leave(self.line)

    def leave(self) -> None:
        """The service ends with the run."""
        if self.line and self.judges:
            self._leave(self.line)
        if self.service:
            self.service.close(LEAVE)

    # ── the service ──

    def _serve(self, plan: Plan, world: World) -> Service:
        make = functools.partial(optim.make, plan.optim)
        return Service(self.settings, make, world.host)

    def _call(self, door: list[Any]) -> Line:
        host, port, token = door
        return call((host, port), token, self.group)

    def _leave(self, line: Line) -> None:
        with contextlib.suppress(dist.DistNetworkError):  # it has ended already
            line.send({"op": "bye"})
        line.close()

    def _open(self) -> None:
        """Rank 0 gives the service what to start from; the first group helps to collect it."""
        if not self.judges:
            return
        values = self._whole({n: p.detach() for n, p in self._parameters().items()})
        if self.service is None:
            return
        state = self._resumed or {"optimizer": {}, "service": {"steps": 0, "examples": 0}}
        told = state["service"]
        record = Record(told["steps"], told["examples"])
        self.service.open(values, state["optimizer"], record, self._tables)

    def _parameters(self) -> dict[str, nn.Parameter]:
        return self.layout.parameters(self.model)

    def _whole(self, parts: Values) -> Values:
        """Of this rank's parts of something like the parameters, the whole; the group's ranks."""
        named = {name: {"value": part} for name, part in parts.items()}
        gathered = self.layout.gathered(self.model, named)
        return {name: values["value"] for name, values in gathered.items()}

    # ── pushing and pulling ──

    def _add(self) -> None:
        """This step's gradient to those that wait to be pushed."""
        gradients = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters().values()
        ]
        if self.every == 1:
            self._sums = gradients
        elif not self._sums:
            self._sums = [gradient.to_dense().clone() for gradient in gradients]
        else:
            torch._foreach_add_(self._sums, gradients)

    def _push(self, rate: float) -> None:
        whole = self._whole(dict(zip(self._parameters(), self._sums, strict=True)))
        parts, scale = self._packed(whole)
        self._sums = []
        head = {
            "op": "push",
            "pull": self.steps % self.pull == 0,
            "version": self.version,
            "rate": rate,
            "scale": scale,
            "steps": self.every,
            "examples": self.every * self.batch,
            "batches": self.steps,
            "stop": self._wish,
            "seconds": self._seconds,
        }
        self._ask(head, parts)

    def _packed(self, whole: Values) -> tuple[list[Tensor], float]:
        """The gradient as it travels, and what the service divides it by.

        First all that is dense, then of each table the numbers of the touched rows and the rows.
        """
        dense = [
            part.to_dense().flatten() for name, part in whole.items() if name not in self._tables
        ]
        parts = [torch.cat(dense) if dense else torch.empty(0)]
        for name in (name for name in whole if name in self._tables):
            parts += _touched(whole[name])
        kind = KINDS.get(self.settings.compress, parts[0].dtype)
        scale = 1.0 if kind is not torch.float16 else _room(parts)
        return [(p * scale).to(kind) if p.is_floating_point() else p for p in parts], scale

    def _ask(self, head: Head, parts: Sequence[Tensor] = ()) -> None:
        """One message there and back, by the group's first rank; its ranks all hear the answer."""
        word: Head = {}
        values: list[Tensor] = []
        with self.waiting():
            if self.line:
                self.line.send({**head, "since": self._since}, *parts)
                word, values = self.line.receive()
            self.record = self.world.share(word)
        self.version = self.record["version"] if head["pull"] else self.version + 1
        if head["pull"]:
            self._since = self.record["since"]
            self._put([self._heard(i, values) for i in range(len(self.record["parts"]))])

    def _heard(self, i: int, values: list[Tensor]) -> Tensor:
        """A part of the answer, which the first rank has, on every rank of the group."""
        assert self.record is not None  # somebody has asked
        name, length = self.record["parts"][i]
        kind = wire.KINDS[name]
        part = values[i] if values else torch.empty(length // kind.itemsize, dtype=kind)
        part = part.to(self.world.device)
        if self.world.size > 1 and length:
            dist.broadcast(part, self.world.ranks[0], group=self.world.group)
        return part

    @torch.no_grad()
    def _put(self, parts: list[Tensor]) -> None:
        """Pulled parameters into the model."""
        flat, *rows = parts
        shapes = {name: s for name, s in self._shapes.items() if name not in self._tables}
        split = torch.split(flat, [shape.numel() for shape in shapes.values()])
        pulled = dict(zip(shapes, split, strict=True))
        mine = self._parameters()
        for name in (name for name in mine if name in shapes):
            whole = pulled[name].view(shapes[name])
            mine[name].copy_(self.layout.part(name, {"value": whole})["value"])
        names = (name for name in self._shapes if name in self._tables)
        for name, index, values in zip(names, rows[::2], rows[1::2], strict=True):
            mine[name][index.long()] = values.view(-1, *mine[name].shape[1:])

    @functools.cached_property
    def _shapes(self) -> dict[str, torch.Size]:
        """Of all parameters, in the order in which the service has them; the group's ranks ask."""
        whole = self._whole({n: p.detach() for n, p in self._parameters().items()})
        return {name: value.shape for name, value in whole.items()}

    @torch.no_grad()
    def _move(self, rate: float) -> None:
        """Between pulls the group's own parameters follow its own gradients."""
        for parameter in self._parameters().values():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=rate)


def tables(plan: Plan, layout: Layout, model: nn.Module) -> set[str]:
    """Parameters of which only touched rows move and travel: those of embeddings.

    That is so where a row without a gradient stays where it is, under AdaGrad and plain SGD, and
    where each rank holds whole parameters.
    """
    still = plan.optim.name in ("sgd", "adagrad") and not plan.optim.weight_decay
    if not still or plan.layout.name not in ("single", "ddp"):
        return set()
    modules = layout.whole(model).named_modules()
    return {f"{name}.weight".lstrip(".") for name, m in modules if isinstance(m, nn.Embedding)}


def _touched(gradient: Tensor) -> Rows:
    """Of a table: the numbers of the rows that a batch has met, and the rows."""
    if gradient.is_sparse:
        held = gradient.coalesce()
        return held.indices()[0].int(), held.values()
    index = gradient.flatten(1).any(dim=1).nonzero()[:, 0]
    return index.int(), gradient[index]


def _room(parts: list[Tensor]) -> float:
    """What brings the largest of these numbers to the middle of what fp16 can hold."""
    floats = [part for part in parts if part.is_floating_point() and part.numel()]
    largest = max((part.abs().max().item() for part in floats), default=0.0)
    return torch.finfo(torch.float16).max / 2 / max(largest, 1e-30)
