"""What a data source holds, as a run would read it: counts, lengths, an example, a batch.

    for found in survey(plan, file, cache, most=1000):
        print(found.split, found.count, found.batch)     # train 139453 source (64, 12) int64 …

Makes on the way whatever the recipe keeps (a vocabulary, tokens), so that the run need not.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from turnaround.engine.recipe import Endless, Recipe, load
from turnaround.errors import DataError, TurnaroundError
from turnaround.spec import Plan

SPLITS = ("train", "valid", "test")
ENOUGH = 1000  # of examples that never end
SHOWN = 200  # characters of an example


@dataclass(frozen=True)
class Found:
    """One split: `lengths` are the least, the median and the greatest of what was looked at."""

    split: str
    count: int | None  # examples; none: without end
    seen: int  # how many of them were made and looked at
    lengths: tuple[int, float, int]
    seconds: float  # until the split was there
    each: float  # seconds for one example
    example: str
    batch: str  # what a batch is made of: names, shapes and types


def survey(plan: Plan, file: Path, cache: Path, most: int) -> Iterator[Found]:
    """Each split of the plan's data; DataError names the example that cannot be made.

    At most `most` examples of a split are looked at, evenly spread over it.
    """
    os.chdir(plan.place.project)
    sys.path.insert(0, plan.place.project)
    recipe = load(file, plan, cache)
    for split in SPLITS:
        yield _found(recipe, split, most, plan.data.batch)


def _found(recipe: Recipe[Any], split: str, most: int, size: int) -> Found:
    began = time.perf_counter()
    examples = recipe.data(split)
    there = time.perf_counter()
    if not len(examples):
        raise DataError(f"the {split} split has no examples", f"see data.path and data.{split}")
    endless = isinstance(examples, Endless)
    chosen = range(min(most, ENOUGH)) if endless else _spread(len(examples), most)
    made = [_made(examples, i, split) for i in chosen]
    each = (time.perf_counter() - there) / len(made)
    lengths = [recipe.length(example) for example in made]
    return Found(
        split=split,
        count=None if endless else len(examples),
        seen=len(made),
        lengths=(min(lengths), statistics.median(lengths), max(lengths)),
        seconds=there - began,
        each=each,
        example=repr(made[0])[:SHOWN],
        batch=_shape(recipe.collate(made[:size])),
    )


def _spread(count: int, most: int) -> list[int]:
    chosen = min(count, most)
    return [i * count // chosen for i in range(chosen)]


def _made(examples: Sequence[Any], index: int, split: str) -> Any:
    try:
        return examples[index]
    except TurnaroundError:
        raise
    except Exception as error:  # the recipe's own code runs here
        message = f"example {index} of {split} cannot be made: {type(error).__name__}: {error}"
        raise DataError(message, "--debug shows the traceback") from error


def _shape(batch: Any) -> str:
    """`source (64, 12) int64, target (64, 14) int64`."""
    if isinstance(batch, Tensor):
        return f"{tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"
    if dataclasses.is_dataclass(batch):
        named = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
        return ", ".join(f"{name} {_shape(value)}" for name, value in named.items())
    if isinstance(batch, dict):
        return ", ".join(f"{name} {_shape(value)}" for name, value in batch.items())
    if isinstance(batch, tuple | list) and all(isinstance(part, Tensor) for part in batch):
        return ", ".join(map(_shape, batch))
    if isinstance(batch, tuple | list):
        return f"({len(batch)}) {type(batch[0]).__name__}" if batch else "(0)"
    return type(batch).__name__
