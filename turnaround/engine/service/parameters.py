"""The parameters that asynchronous groups share: pushed gradients move them, pulls fetch them.

    service = Service(settings, make, host)            # in the process of rank 0
    service.open(values, moments, Record(steps=100), tables)    # answers from now on
    line = call(service.door.address, service.door.token, group)
    line.send({"op": "push", "rate": 0.1, …}, gradient, numbers, rows)
    record, (values, numbers, rows) = line.receive()

Downpour (Dean et al., 2012): the parameters lie in shards, each with its own lock and its own
optimizer state, so the pushes of two groups go through them one behind the other and shards may
differ by a push. A thread serves each group; a group that dies leaves nothing behind but its line.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from turnaround.engine.service.host import Host
from turnaround.engine.service.wire import Head, Line
from turnaround.spec import Update

Make = Callable[[list[Parameter]], Optimizer]
Values = dict[str, Tensor]
Rows = tuple[Tensor, Tensor]  # numbers of rows, and the rows


@dataclass
class Record:
    """What has happened to the parameters."""

    steps: int = 0  # batches whose gradients are in them, over all attempts
    examples: int = 0
    version: int = 0  # pushes, in this attempt
    stop: bool = False
    seconds: float = 0.0  # of training, by the first group's clock
    batches: int = 0  # of this attempt, by the group that has read most
    staleness: int = 0  # summed over pushes
    stalest: int = 0


class Shard:
    """Some of the parameters, and their optimizer's state.

    Of those in `rows`, tables of which a batch touches few rows, only these travel: a push brings
    the touched ones, a pull takes those that were pushed since the last.
    """

    def __init__(self, values: Values, rows: Collection[str], make: Make) -> None:
        self.parameters = {name: Parameter(value) for name, value in values.items()}
        self.dense = [name for name in values if name not in rows]
        self.tables = [name for name in values if name in rows]
        self.size = sum(values[name].numel() for name in self.dense)
        self.lock = threading.Lock()
        self.count = 0  # pushes
        self._pushed = {name: torch.zeros(len(values[name])).long() for name in self.tables}
        named = [names for names in (self.dense, self.tables) if names]
        self._optimizers = {id(names): make([self.parameters[n] for n in names]) for names in named}
        if self.tables:  # torch warns of not checking them; what comes over a line is in order
            torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # torch's
        for group in self._groups(self.tables):
            group.update(fused=False, foreach=False)  # neither takes a gradient of some rows

    def push(self, dense: Tensor, rows: list[Rows], rate: float) -> None:
        """One step along the gradients."""
        with self.lock:
            self.count += 1
            sizes = [self.parameters[name].numel() for name in self.dense]
            for name, part in zip(self.dense, torch.split(dense, sizes), strict=True):
                self.parameters[name].grad = part.view_as(self.parameters[name])
            for name, (index, values) in zip(self.tables, rows, strict=True):
                self.parameters[name].grad = _scattered(index, values, self.parameters[name])
                self._pushed[name][index.long()] = self.count
            for names in (self.dense, self.tables):
                for group in self._groups(names):
                    group["lr"] = rate
            for optimizer in self._optimizers.values():
                optimizer.step()

    @torch.no_grad()
    def pull(self, since: int) -> tuple[int, Tensor, list[Rows]]:
        """The number of pushes so far; values, flat; rows that were pushed after push `since`."""
        with self.lock:
            flat = [self.parameters[name].flatten() for name in self.dense]
            changed = [(self._pushed[name] > since).nonzero()[:, 0] for name in self.tables]
            tables = [self.parameters[name] for name in self.tables]
            rows = [(i.int(), table[i]) for i, table in zip(changed, tables, strict=True)]
            return self.count, torch.cat(flat) if flat else torch.empty(0), rows

    def moments(self) -> dict[str, dict[str, Any]]:
        """The optimizer's state, by name."""
        found: dict[str, dict[str, Any]] = {}
        for names in (self.dense, self.tables):
            state = self._optimizers[id(names)].state_dict()["state"] if names else {}
            found |= {name: state[i] for i, name in enumerate(names) if i in state}
        return found

    def load(self, moments: dict[str, dict[str, Any]]) -> None:
        """The inverse of `moments`, of what is of this shard."""
        for names in filter(None, (self.dense, self.tables)):
            state = {i: moments[name] for i, name in enumerate(names) if name in moments}
            groups = self._optimizers[id(names)].state_dict()["param_groups"]
            self._optimizers[id(names)].load_state_dict({"state": state, "param_groups": groups})

    def _groups(self, names: list[str]) -> list[dict[str, Any]]:
        return self._optimizers[id(names)].param_groups if names else []


class Service(Host):
    """The shards, and whoever talks to them."""

    def __init__(self, settings: Update, make: Make, host: str) -> None:
        self.record = Record()
        self._settings = settings
        self._make = make
        self._shards: list[Shard] | None = None  # none: not open yet
        self._clocks: dict[int, int] = {}  # of each group that is there: its pushes
        self._pushing = 0  # pushes that are under way
        self._held = False  # none may begin
        super().__init__(host)

    def open(
        self, values: Values, moments: dict[str, Any], record: Record, tables: Collection[str]
    ) -> None:
        """Serve these from now on, some of them by rows; who asked before waits until then."""
        parts = _parts(values, self._settings.shards)
        shards = [Shard(part, tables, self._make) for part in parts]
        for shard in shards:
            shard.load(moments)
        with self.changed:
            self._shards, self.record = shards, record
            self.changed.notify_all()

    def state(self) -> tuple[Values, dict[str, Any], Record]:
        """Values, optimizer state and record of one moment: no push is half done."""
        with self.changed:
            self._held = True
            self.changed.wait_for(lambda: not self._pushing)
            try:
                values = {
                    n: p.detach().clone() for s in self._open for n, p in s.parameters.items()
                }
                moments = {name: m for s in self._open for name, m in s.moments().items()}
                kept = {n: {k: _copy(v) for k, v in m.items()} for n, m in moments.items()}
                return values, kept, dataclasses.replace(self.record)
            finally:
                self._held = False
                self.changed.notify_all()

    def stop(self) -> None:
        """Every group hears with its next answer that it is over."""
        with self.changed:
            self.record.stop = self.over = True
            self.changed.notify_all()

    @property
    def groups(self) -> int:
        """How many are there."""
        return len(self.lines)

    @property
    def _open(self) -> list[Shard]:
        assert self._shards is not None  # callers have waited for it
        return self._shards

    # ── one thread for each group ──

    def gone(self, group: int) -> None:
        """Nobody waits for it."""
        self._clocks.pop(group, None)

    def answer(self, line: Line, group: int, head: Head, values: list[Tensor]) -> None:
        """A push or a pull."""
        if head["op"] == "push":
            self._push(group, head, values)
            self._wait_for_slower(group)
        else:
            self._join(group)
        with self.changed:
            said = dataclasses.asdict(self.record)  # what is pushed while we read counts as newer
        if not head["pull"]:
            line.send(said)
            return
        since = head["since"] or [-1] * len(self._open)  # -1: before the first push
        pulled = [shard.pull(n) for shard, n in zip(self._open, since, strict=True)]
        rows = [tensor for _, _, rows in pulled for pair in rows for tensor in pair]
        counts = [count for count, _, _ in pulled]
        line.send({**said, "since": counts}, torch.cat([flat for _, flat, _ in pulled]), *rows)

    def _join(self, group: int) -> None:
        """Let a group begin; all but the first wait until the start is warm."""
        warm = self._settings.warm

        def may() -> bool:
            started = self._shards is not None
            return started and (group == 0 or self.record.stop or self.record.steps >= warm)

        with self.changed:
            self.changed.wait_for(may)
            self._clocks.setdefault(group, min(self._clocks.values(), default=0))

    def _push(self, group: int, head: Head, values: list[Tensor]) -> None:
        with self.changed:
            self.changed.wait_for(lambda: not self._held)
            self._pushing += 1
            stale = self.record.version - head["version"]
        rate = head["rate"] / max(stale, 1) if self._settings.stale_lr else head["rate"]
        try:
            dense, *rest = [self._wide(part, head["scale"]) for part in values]
            rows = list(zip(rest[::2], rest[1::2], strict=True))
            sizes = [shard.size for shard in self._open]
            for shard, part in zip(self._open, torch.split(dense, sizes), strict=True):
                shard.push(part, rows[: len(shard.tables)], rate)
                rows = rows[len(shard.tables) :]
        finally:
            with self.changed:
                self._pushing -= 1
                self._count(group, head, stale)
                self.changed.notify_all()

    def _wide(self, part: Tensor, scale: float) -> Tensor:
        """A part of a gradient as the parameters are; numbers of rows as they are."""
        if not part.is_floating_point():
            return part
        wide = part.to(next(iter(self._open[0].parameters.values())).dtype)
        return wide if scale == 1 else wide / scale

    def _count(self, group: int, head: Head, stale: int) -> None:
        record = self.record
        record.version += 1
        record.steps += head["steps"]
        record.examples += head["examples"]
        record.batches = max(record.batches, head["batches"])
        record.staleness += stale
        record.stalest = max(record.stalest, stale)
        record.stop |= head["stop"]
        record.seconds = head["seconds"] if group == 0 else record.seconds
        self._clocks[group] = self._clocks.get(group, 0) + 1

    def _wait_for_slower(self, group: int) -> None:
        """Stale synchronous parallel (Ho et al., 2013): the fastest may lead by `bound` pushes."""
        bound = self._settings.bound

        def near() -> bool:
            lead = self._clocks[group] - min(self._clocks.values())
            return self.record.stop or bound is None or lead <= bound

        with self.changed:
            self.changed.wait_for(near)


def _parts(values: Values, count: int) -> list[Values]:
    """At most `count` runs of neighbours, about equally large."""
    total = sum(value.numel() for value in values.values())
    parts: list[Values] = [{}]
    seen = 0
    for name, value in values.items():
        if parts[-1] and seen >= total * len(parts) / count:
            parts.append({})
        # Row by row, as gradients arrive: fused optimizers walk through both without comparing.
        rows = torch.contiguous_format
        parts[-1][name] = value.detach().to("cpu", copy=True, memory_format=rows)
        seen += value.numel()
    return parts


def _scattered(index: Tensor, values: Tensor, like: Tensor) -> Tensor:
    """The gradient of a table of which some rows were touched."""
    rows = values.view(-1, *like.shape[1:])
    return torch.sparse_coo_tensor(index.long()[None], rows, like.shape, is_coalesced=True)


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def mean(record: Record) -> float:
    """Staleness of a push, on average."""
    return record.staleness / max(record.version, 1)
