"""Examples in an order fixed by (seed, examples consumed); who reads which.

    feed = Feed(recipe, plan, world, layout.reader())
    feed.pieces(now.examples)        # this rank's micro-batches of the batch that begins there
    feed.batches("valid")            # this rank's share of a split

The number of devices decides who reads an example, never which examples make a batch; to resume is
to ask for a later position.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from turnaround.engine.precision import named
from turnaround.engine.world import World, number
from turnaround.errors import DataError
from turnaround.spec import Plan

T = TypeVar("T")
ENDLESS = 2**40  # examples: `Endless` says it has so many
SORTED = 50  # batches of an evaluation that are sorted by length together, and held in memory


class Source(Protocol):
    """What is asked of a recipe here."""

    def data(self, split: str) -> Sequence[Any]: ...

    def collate(self, examples: list[Any]) -> Any: ...

    def length(self, example: Any) -> int: ...


@dataclass(frozen=True)
class Piece:
    """One micro-batch of one rank."""

    batch: Any
    last: bool  # of this rank's pieces of the step


class Feed:
    """The recipe's examples, as this rank reads them."""

    def __init__(self, recipe: Source, plan: Plan, world: World, reader: tuple[int, int]) -> None:
        self.size = plan.data.batch  # examples a step, over all ranks, until it grows
        self._recipe = recipe
        self._world = world
        self._seed = plan.seed
        self._bucket = plan.data.bucket
        self._sortagrad = plan.data.sortagrad
        self._micro = plan.update.accumulate
        self._kept = named(plan.precision).kept
        self._part, self._parts = reader
        self._splits: dict[str, Sequence[Any]] = {}
        if plan.data.whole:
            self.size = self._all()
            self._micro *= math.ceil(self.size / plan.data.batch)

    def pieces(self, start: int, times: int = 1) -> Iterator[Piece]:
        """This rank's share of the batch at place `start`, cut for accumulation.

        It is made of so many of the plan's, each cut as ever, when the batch grows.

        Each takes every n-th example: in a batch sorted by length all get about as much. What is
        drawn from the moment a piece is made follows from its key, and so do two devices, or one
        that accumulates twice, draw the same: a piece is to be used before the next is made.
        """
        train, numbers = self.split("train"), self.numbers(start, times)
        count = self._parts * self._micro * times
        mine = range(self._part, count, self._parts)
        for piece in mine:
            self._world.seed(self._seed, start, piece)
            batch = self.collated([train[i] for i in numbers[piece::count]])
            yield Piece(batch, last=piece == mine[-1])

    def numbers(self, start: int, times: int = 1) -> list[int]:
        """Which training examples make the batch at place `start`, of so many of the plan's."""
        return self._order.take(start, self.size * times)

    def batches(self, split: str, limit: int | None = None) -> Iterator[Any]:
        """This rank's share of a split, or of `limit` examples of it, like lengths together."""
        examples = self.split(split)
        mine = _spread(len(examples), limit)[self._part :: self._parts]
        size = math.ceil(self.size / (self._parts * self._micro))  # what a training step holds
        drawn = itertools.count()
        for window in _chunks(mine, size * SORTED):
            held = sorted((examples[i] for i in window), key=self._recipe.length, reverse=True)
            for batch in _chunks(held, size):
                self._world.seed(self._seed, self._part, next(drawn))
                yield self.collated(batch)

    def resized(self, batch: int) -> Feed:
        """The same examples, in batches of another size."""
        other = copy.copy(self)
        other.__dict__.pop("_order", None)  # it cuts buckets by the size
        other.size = batch
        return other

    def some(self, split: str, count: int) -> list[Any]:
        """That many examples of a split, evenly spread over it, or all there are."""
        examples = self.split(split)
        return [examples[i] for i in _spread(len(examples), count)]

    def split(self, name: str) -> Sequence[Any]:
        """The examples of a split, read when they are first wanted."""
        if name not in self._splits:
            self._world.seed(self._seed, *name.encode())  # a recipe may draw while it makes them
            self._splits[name] = self._recipe.data(name)
        return self._splits[name]

    def collated(self, examples: list[Any]) -> Any:
        """A batch of these, where it is computed with."""
        return moved(self._recipe.collate(examples), self._world.device, self._kept)

    def _all(self) -> int:
        """How many training examples there are, for a step that sees them all."""
        count, pieces = len(self.split("train")), self._parts * self._micro
        if count >= ENDLESS:
            raise DataError("data.batch=all, but these examples never end", "data.batch=64")
        if count < pieces:
            message = f"data.batch=all: {count} training examples cannot be cut in {pieces}"
            raise DataError(message, "fewer devices, or a smaller update.accumulate")
        return count

    def epoch(self, examples: int) -> float:
        """How often the corpus has been seen after that many examples."""
        return examples / len(self.split("train"))

    @property
    def whole(self) -> bool:
        """Each batch is one piece, so that its count is known before its backward pass."""
        return self._parts * self._micro == 1

    @functools.cached_property
    def _order(self) -> Order:
        train, length = self.split("train"), self._recipe.length
        if not len(train):
            raise DataError("the train split has no examples", "see data.path and data.train")
        kind = Rising if self._sortagrad else Order
        return kind(len(train), self._seed, self.size, self._bucket, lambda i: length(train[i]))


class Order:
    """An endless stream of example numbers: one shuffle of the corpus after another.

    `bucket` batches are sorted by length together and come in random order, so that the examples
    of a batch are about equally long. What stands at a place depends on these arguments alone.
    """

    def __init__(
        self, count: int, seed: int, batch: int, bucket: int, length: Callable[[int], int]
    ) -> None:
        self._count = count
        self._seed = seed
        self._batch = batch
        self._bucket = bucket
        self._length = length
        self._shuffle = functools.lru_cache(maxsize=2)(self._shuffled)  # a batch may span two
        self._sort = functools.lru_cache(maxsize=2)(self._sorted)

    def take(self, start: int, count: int) -> list[int]:
        """The numbers at places `start` to `start + count`."""
        if self._bucket == 1:
            return self._plain(start, count)
        return _cut(start, count, self._batch * self._bucket, self._sort)

    def _plain(self, start: int, count: int) -> list[int]:
        if self._count >= ENDLESS:  # nothing comes twice, so the order is as good as any
            return list(range(start, start + count))
        return _cut(start, count, self._count, self._shuffle)

    def _sorted(self, window: int) -> memoryview:
        size = self._batch * self._bucket
        numbers = sorted(self._plain(window * size, size), key=self._length)
        batches = torch.tensor(numbers).view(self._bucket, self._batch)
        return _numbers(batches[self._permutation(self._bucket, 1, window)].flatten())

    def _shuffled(self, epoch: int) -> memoryview:
        return _numbers(self._permutation(self._count, 0, epoch))

    def _permutation(self, count: int, *key: int) -> Tensor:
        generator = torch.Generator().manual_seed(number(self._seed, *key))
        return torch.randperm(count, generator=generator)


class Rising(Order):
    """The corpus from short to long, once, and only then the order that would be without.

    Long sequences are the harder ones to begin with (SortaGrad: Amodei et al., 2015, section 3.3).
    """

    def take(self, start: int, count: int) -> list[int]:
        """The numbers at places `start` to `start + count`."""
        first = self._first[start : start + count]
        return first + super().take(max(0, start - self._count), count - len(first))

    @functools.cached_property
    def _first(self) -> list[int]:
        if self._count >= ENDLESS:
            raise DataError(
                "data.sortagrad=true sorts the first epoch, but these examples never end",
                "data.sortagrad=false, or a recipe whose train split has an end",
            )
        return sorted(range(self._count), key=self._length)


def _cut(start: int, count: int, size: int, block: Callable[[int], memoryview]) -> list[int]:
    """What stands at `start` to `start + count` of blocks of `size` laid end to end."""
    taken: list[int] = []
    while len(taken) < count:
        which, offset = divmod(start + len(taken), size)
        taken += block(which)[offset : offset + count - len(taken)].tolist()
    return taken


def _numbers(tensor: Tensor) -> memoryview:
    """To cut some numbers out of: a tenth of what it takes a tensor to be cut and listed."""
    numbers: memoryview = tensor.numpy().data
    return numbers


def _spread(count: int, limit: int | None) -> list[int]:
    """The numbers below `count`, or `limit` of them at even distances."""
    chosen = min(limit or count, count)
    return [i * count // chosen for i in range(chosen)]


def _chunks(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def moved(value: Any, device: torch.device, kept: torch.dtype) -> Any:
    """The batch on the device, its floating-point numbers in the type of the parameters."""
    if isinstance(value, Tensor):
        kind = kept if value.is_floating_point() else value.dtype
        return value.to(device, kind, non_blocking=True)
    if isinstance(value, (tuple, list)):  # a union would be made anew at each call
        parts = [moved(v, device, kept) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: moved(v, device, kept) for name, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        held = {name: getattr(value, name) for name in _given(type(value))}
        there = {name: moved(v, device, kept) for name, v in held.items()}
        same = all(there[name] is held[name] for name in held)
        return value if same else dataclasses.replace(value, **there)
    return value


@functools.cache
def _given(kind: type[Any]) -> tuple[str, ...]:
    """The fields that a data class is made from."""
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)
