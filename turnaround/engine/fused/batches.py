"""Batches of many members at once: rows of a table, where each has an order of its own.

    shelf = Shelf(recipe, feed, device, kept)
    shelf.rows([[3, 1, 4], [1, 5, 9]])      # a batch whose tensors are (members, examples, …)

What a fusible recipe promises is used here: its batch is tensors with a row for each example, and
what stands in a row depends on that example alone. So all examples are put together once, and a
step of any number of members is one look-up.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from turnaround.engine.data import Feed, Source
from turnaround.engine.world import World
from turnaround.errors import ConfigError
from turnaround.spec import Plan

LARGEST = 256 << 20  # bytes of a table
LONGEST = 1 << 17  # examples of one; of more, those of a step are put together when it comes
BROAD = 1024  # examples that are judged together


def tensors(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in a fixed order; ConfigError when it holds anything else."""
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, dict):
        return [tensor for value in batch.values() for tensor in tensors(value)]
    if isinstance(batch, tuple | list):
        return [tensor for value in batch for tensor in tensors(value)]
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        names = [field.name for field in dataclasses.fields(batch) if field.init]
        return [tensor for name in names for tensor in tensors(getattr(batch, name))]
    raise ConfigError(
        f"a batch of a fusible recipe is made of tensors, this one holds a {type(batch).__name__}",
        "fusible = False",
    )


def filled(like: Any, with_: Iterator[Tensor]) -> Any:
    """A batch like that one, of other tensors: the inverse of `tensors`."""
    if isinstance(like, Tensor):
        return next(with_)
    if isinstance(like, dict):
        return {name: filled(value, with_) for name, value in like.items()}
    if isinstance(like, tuple | list):
        parts = [filled(value, with_) for value in like]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    names = [field.name for field in dataclasses.fields(like) if field.init]
    return dataclasses.replace(like, **{n: filled(getattr(like, n), with_) for n in names})


class Broad(Feed):
    """What members read: the same order; splits are judged in larger batches, made once.

    The models are small: judging 1,000 examples takes them little longer than judging 16.
    """

    def __init__(self, recipe: Source, plan: Plan, world: World) -> None:
        super().__init__(recipe, plan, world, (0, 1))
        self._made: dict[tuple[str, int | None], list[Any]] = {}

    def gathered(self, numbers: Iterable[int]) -> Any:
        """A batch of these training examples."""
        train = self.split("train")
        return self.collated([train[i] for i in numbers])

    def batches(self, split: str, limit: int | None = None) -> Iterator[Any]:
        """A split, or `limit` examples of it."""
        if (split, limit) not in self._made:
            made = [*self._batches(split, limit)]
            if sum(part.nbytes for batch in made for part in tensors(batch)) > LARGEST:
                return iter(made)
            self._made[split, limit] = made
        return iter(self._made[split, limit])

    def _batches(self, split: str, limit: int | None) -> Iterator[Any]:
        examples = self.some(split, limit or len(self.split(split)))
        for begin in range(0, len(examples), BROAD):
            yield self.collated(examples[begin : begin + BROAD])


class Shelf:
    """The training examples of one seed, ready to be put into batches."""

    def __init__(self, feed: Broad) -> None:
        self.feed = feed
        numbers = feed.numbers(0)
        before = _drawn()
        self.like = feed.gathered(numbers)  # a batch, to see what one is made of
        if _drawn() != before:
            raise ConfigError("its examples are drawn at random as they are read", _HINT)
        parts = tensors(self.like)
        if any(not part.dim() or len(part) != len(numbers) for part in parts):
            raise ConfigError("its batches have tensors without a row for each example", _HINT)
        count = len(feed.split("train"))
        size = sum(part[0].nbytes for part in parts) * count
        whole = count <= LONGEST and size <= LARGEST
        self._table = tensors(feed.gathered(range(count))) if whole else None
        if not all(map(torch.equal, parts, self.rows(numbers))):
            raise ConfigError("an example's row depends on the others of its batch", _HINT)

    def rows(self, numbers: Sequence[int]) -> list[Tensor]:
        """The tensors of a batch of these examples."""
        if self._table is None:
            return tensors(self.feed.gathered(numbers))
        chosen = torch.tensor(numbers, device=self._table[0].device)
        return [part.index_select(0, chosen) for part in self._table]


_HINT = "fusible = False, or make a batch of nothing but its examples"


def _drawn() -> tuple[Any, bytes]:
    """Where the generators stand."""
    return random.getstate(), bytes(torch.get_rng_state().tolist())
