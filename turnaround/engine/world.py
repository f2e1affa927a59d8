"""Who am I among the ranks of one attempt: join them, agree with them, leave them.

    with join(assignment, listener) as world:
        world.leads                      # rank 0
        world.sum(vector)                # of every rank's vectors
        world.gather({"bleu": 30.1})     # every rank's value, in order of rank
        world.adding(vector)()           # the same, but under way before the second call
    world.telling((2.5, 64.0))()     # likewise of plain numbers
        world.agree(stop, seconds)       # what all ranks must know alike, once a step
        world.split(2), world.across(2)  # pairs of ranks; this one's peers in the other pairs

`World` is one process alone and is complete; `Gang` is the same among others.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import random
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch lists it nowhere
from torch.distributed.distributed_c10d import PrefixStore, Store, Work

from turnaround.spec import Assignment

MEET = timedelta(minutes=2)  # ranks of a loaded machine were seen to start 10 s apart
ANSWER = timedelta(minutes=15)  # one rank's share of an evaluation may decode that much longer

Send = Callable[[Tensor], Callable[[], Tensor]]  # of every rank's numbers, and then their sum
Tell = Callable[[Sequence[float]], Callable[[], Sequence[float]]]  # the same without tensors

# Groups that were left, kept alive to the end of the process. Dropped with a model wrapped by DDP,
# the last reference makes gloo join its threads under Python's lock, which one of them may be
# waiting for to let go of a tensor: one exit in four hung so after an error (torch 2.13).
_left: list[object] = []


class World:
    """One process, one device, nobody else."""

    group: dist.ProcessGroup | None = None  # torch's; none: every process there is
    host = "127.0.0.1"  # where the ranks met

    def __init__(self, device: torch.device, rank: int = 0, size: int = 1) -> None:
        self.device = device
        self.rank = rank
        self.size = size
        self.ranks = list(range(size))  # who belongs to it, as the whole world counts

    @property
    def leads(self) -> bool:
        """This rank speaks and writes for all, not only for its part of a world that was split."""
        return self.ranks[self.rank] == 0

    def split(self, size: int) -> World:
        """This rank's part of `size` neighbours. Every rank asks, in the same order."""
        return self

    def across(self, size: int) -> World:
        """The ranks at this one's place in every part of `size`. Every rank asks."""
        return self

    def seed(self, *key: int) -> None:
        """Let everything that is drawn from now on follow from `key` alone.

        As each micro-batch has its own key, a checkpoint needs no generator states, and neither an
        evaluation in between nor the number of devices changes a dropout mask. It costs 6 µs;
        torch.manual_seed, which asks every back end, 95.
        """
        start = number(*key)
        random.seed(start)
        torch.default_generator.manual_seed(start)
        if self.device.type == "cuda":
            torch.cuda.default_generators[self.device.index].manual_seed(start)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every rank's `values`."""
        return values

    def adding(self, values: Tensor, send: Send | None = None) -> Callable[[], Tensor]:
        """Begin to add up every rank's `values`, (n,) in float64; a call waits for the sum.

        Without another way to `send` them it is a message of its own.
        """
        return lambda: values

    def telling(
        self, numbers: Sequence[float], tell: Tell | None = None
    ) -> Callable[[], Sequence[float]]:
        """Begin to add up every rank's `numbers` of the host; a call waits for the sums.

        More may follow these, which mean nothing here.
        """
        return lambda: numbers

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums of every rank, name by name; a rank that lacks a name counts as zero."""
        return sums

    def gather(self, value: Any) -> list[Any]:
        """Every rank's JSON value, in order of rank."""
        return [value]

    def share(self, value: Any) -> Any:
        """Rank 0's JSON value."""
        return self.gather(value)[0]

    def spread(self, value: bytes) -> bytes:
        """Rank 0's bytes."""
        return value

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Rank 0's numbers in these tensors on every rank."""

    def agree(self, stop: bool, seconds: float) -> tuple[bool, float]:
        """Whether any rank wants to stop, and rank 0's clock."""
        return stop, seconds

    def meet(self) -> None:
        """Wait until every rank is here."""


class Gang(World):
    """One of several processes that train together."""

    def __init__(self, device: torch.device, rank: int, size: int) -> None:
        super().__init__(device, rank, size)
        self._pulse: Callable[[], Sequence[float]] | None = None  # what all said, on its way
        self._said: Sequence[float] | None = None  # by this rank, to be sent with the next sum
        self._added = False  # there was such a sum since the last `agree`

    def split(self, size: int) -> World:
        """This rank's part of `size` neighbours. Every rank asks, in the same order."""
        return self._part([range(i, i + size) for i in range(0, self.size, size)])

    def across(self, size: int) -> World:
        """The ranks at this one's place in every part of `size`. Every rank asks."""
        return self._part([range(i, self.size, size) for i in range(size)])

    def _part(self, parts: list[range]) -> World:
        """The one of `parts` that this rank belongs to; torch wants all ranks to make them all."""
        if len(parts) == 1:
            return self
        ranks = [[self.ranks[i] for i in part] for part in parts]
        alone = len(parts[0]) == 1
        groups = [None if alone else dist.new_group(part, timeout=ANSWER) for part in ranks]
        _left.extend(groups)
        mine = next(i for i, part in enumerate(parts) if self.rank in part)
        place, size = parts[mine].index(self.rank), len(parts[mine])
        made = World(self.device) if alone else Gang(self.device, place, size)
        made.ranks, made.group, made.host = ranks[mine], groups[mine], self.host
        return made

    def sum(self, values: Tensor) -> Tensor:
        """The sum of every rank's `values`."""
        dist.all_reduce(values, group=self.group)
        return values

    def adding(self, values: Tensor, send: Send | None = None) -> Callable[[], Tensor]:
        """Begin to add up every rank's `values`, (n,) in float64; a call waits for the sum."""
        arrived = (send or self._send)(values)
        return lambda: arrived()[: len(values)]

    def telling(
        self, numbers: Sequence[float], tell: Tell | None = None
    ) -> Callable[[], Sequence[float]]:
        """Begin to add up every rank's `numbers` of the host; a call waits for the sums.

        What was said to `agree` follows them, as a message takes 0.3 ms of a core; with a device's
        numbers it would have to be waited for.
        """
        said, self._said, self._added = self._said, None, True
        arrived = _once((tell or self._tell)((*numbers, *(said or ()))))
        if said:
            self._pulse = lambda: arrived()[len(numbers) :]
        return arrived

    def total(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The sums of every rank, name by name; a rank that lacks a name counts as zero."""
        everyone = self.gather({name: len(values) for name, values in sums.items()})
        sizes: dict[str, int] = {name: size for one in everyone for name, size in one.items()}
        zeros = {name: torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()}
        mine = [sums.get(name, zero) for name, zero in zeros.items()]
        flat = self.sum(torch.cat([torch.zeros(0, dtype=torch.float64), *mine]))
        parts = torch.split(flat, list(sizes.values()))
        return dict(zip(sizes, parts, strict=True))

    def gather(self, value: Any) -> list[Any]:
        """Every rank's JSON value, in order of rank; nothing is unpickled."""
        text = json.dumps(value).encode()
        lengths = torch.zeros(self.size, dtype=torch.int64)
        lengths[self.rank] = len(text)
        texts = torch.zeros(self.size, int(self.sum(lengths).max()), dtype=torch.uint8)
        texts[self.rank, : len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        rows = zip(self.sum(texts), lengths.tolist(), strict=True)
        return [json.loads(bytes(row[:length].tolist())) for row, length in rows]

    def spread(self, value: bytes) -> bytes:
        """Rank 0's bytes; what the others give does not matter."""
        size = self.share(len(value))
        room = bytearray(value if self.rank == 0 else size)
        tensor = torch.frombuffer(room, dtype=torch.uint8) if size else torch.empty(0)
        dist.broadcast(tensor, self.ranks[0], self.group)
        return bytes(room)

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Rank 0's numbers in these tensors on every rank."""
        for tensor in tensors:
            dist.broadcast(tensor.data, self.ranks[0], self.group)

    def agree(self, stop: bool, seconds: float) -> tuple[bool, float]:
        """As of the call before this one: it travels while the next step computes.

        It goes with a sum where each step has one, and else by itself.
        """
        mine = float(stop), seconds * (self.rank == 0)
        pulse = self._pulse or self._tell(mine)
        self._pulse, self._said = (None, mine) if self._added else (self._tell(mine), None)
        self._added = False
        wishes, clock = pulse()
        return wishes > 0, clock

    def _tell(self, numbers: Sequence[float]) -> Callable[[], Sequence[float]]:
        arrived = self._send(torch.tensor(numbers, dtype=torch.float64))
        return lambda: arrived().tolist()

    def _send(self, values: Tensor) -> Callable[[], Tensor]:
        total = values.clone()
        work: Work | None = dist.all_reduce(total, group=self.group, async_op=True)
        assert work is not None  # it is None for ranks outside of the group only

        def arrived() -> Tensor:
            work.wait()
            return total

        return arrived

    def meet(self) -> None:
        """Wait until every rank is here."""
        if self._pulse:
            self._pulse()
        self._pulse = self._said = None
        self.gather(None)


@contextlib.contextmanager
def join(assignment: Assignment, listener: int | None = None) -> Iterator[World]:
    """The world of this rank; `listener` is rank 0's socket, already listening."""
    device = torch.device("cpu")
    if assignment.device == "cuda":
        device = torch.device("cuda", assignment.index or 0)
        torch.cuda.set_device(device)
        torch.empty(0, device=device)  # wakes CUDA, so that its generators are there
    if assignment.size == 1:
        yield World(device)
        return
    store = _store(assignment, listener)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=assignment.rank,
        world_size=assignment.size,
        timeout=ANSWER,
    )
    _left.append(dist.group.WORLD)
    with _leaving(device):
        world = Gang(device, assignment.rank, assignment.size)
        world.host = str(assignment.store).rpartition(":")[0]
        yield world


@contextlib.contextmanager
def _leaving(device: torch.device) -> Iterator[None]:
    """Leave the group at the end. With NCCL all ranks do so together, and one that fails alone
    would wait before it has said why: it stays, and its process ends with it."""
    try:
        yield
    except BaseException:
        if device.type != "cuda":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def number(*key: int) -> int:
    """A seed that follows from `key`, unlike that of any other key."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=7).digest(), "little")


def _once(ask: Callable[[], Sequence[float]]) -> Callable[[], Sequence[float]]:
    """What it answers, asked when it is first wanted; `functools.cache` takes 30 µs to be made."""
    answer: Sequence[float] = ()

    def asked() -> Sequence[float]:
        nonlocal answer
        answer = answer or ask()
        return answer

    return asked


def _store(assignment: Assignment, listener: int | None) -> Store:
    """Where the ranks of this attempt find each other; no other attempt looks there."""
    assert assignment.store is not None  # launchers give one to every gang
    host, port = assignment.store.rsplit(":", 1)
    _stay_inside(host)
    store = TCPStore(
        host,
        int(port),
        assignment.size,
        is_master=assignment.rank == 0,
        timeout=MEET,
        wait_for_workers=False,
        master_listen_fd=listener,
    )
    return PrefixStore(f"attempt-{assignment.attempt}", store)


def _stay_inside(host: str) -> None:
    """Ranks that meet on the loopback address also talk there, not on the machine's public one."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            inside = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
            os.environ.setdefault("GLOO_SOCKET_IFNAME", inside)
