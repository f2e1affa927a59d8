"""A recipe: one task's data, model, loss and scores. It owns no loop and knows nothing of devices.

    class Reverse(Recipe[Batch]):
        config: Config                       # its knobs; `recipe.width=128` on the command line
        def data(self, split): ...           # examples: anything with a length and an index
        def collate(self, examples): ...     # examples → Batch
        def model(self): ...                 # an ordinary nn.Module, for one device
        def inputs(self, batch): ...         # the arguments of its forward pass
        def loss(self, output, batch): ...   # a Mean: summed loss and number of targets

What it does not write has a default.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn

from turnaround.engine.metrics import Mean, Tally
from turnaround.errors import ConfigError, RecipeError
from turnaround.spec import Data, Plan

B = TypeVar("B")
E = TypeVar("E")
T = TypeVar("T")
Samples = tuple[list[str], list[list[str]]]  # a table to look at: its columns and rows


class Recipe(Generic[B]):
    """The base of every recipe: four methods must be written, the rest have defaults."""

    config: Any
    # For layout=tensor: which linear layers are cut, by their names in the model (`*` is any one
    # part of a name). A "column" cut splits a layer's outputs, a "row" cut its inputs, and between
    # the two each device has a share of the features, or of the attention heads:
    #     cuts = {"blocks.*.up": "column", "blocks.*.down": "row"}
    # So what lies between must not know the full width: view(batch, length, -1, head width). A
    # module's own `heads`, where it has such an attribute, becomes this device's share.
    cuts: Mapping[str, str] = MappingProxyType({})
    # For layout.sequence: the modules around those layers that hand (batch, length, width) on.
    stream: str = ""

    # For sweep.fuse: trials may be trained as one. It promises that a batch is nothing but its
    # examples side by side, in tensors with a row for each; that the loss is a sum over them; and
    # that nothing is drawn while training, as dropout does. What can be seen of it is checked.
    fusible = False

    def __init__(self, config: Any, source: Data, cache: Path) -> None:
        self.config = config
        self.source = source  # where the user's files are, if any
        self.cache = (
            cache  # a folder for what is costly to make again (a vocabulary), named by content
        )

    def data(self, split: str) -> Sequence[Any]:
        """The examples of `train`, `valid` or `test`."""
        raise NotImplementedError

    def model(self) -> nn.Module:
        """The model, written for one device; its weights drawn from torch's global generator."""
        raise NotImplementedError

    def inputs(self, batch: B) -> tuple[Any, ...]:
        """The arguments of the model's forward pass."""
        raise NotImplementedError

    def loss(self, output: Any, batch: B) -> Mean:
        """Summed loss and number of targets."""
        raise NotImplementedError

    def collate(self, examples: list[Any]) -> B:
        """Examples → batch; by default tensors (or tuples of tensors) are stacked."""
        if isinstance(examples[0], Tensor):
            return torch.stack(examples)  # type: ignore[return-value]  # B is Tensor here
        return tuple(torch.stack(list(column)) for column in zip(*examples, strict=True))  # type: ignore[return-value]  # B is a tuple here

    def stages(self, model: nn.Module) -> list[nn.Module]:
        """For layout=pipeline: what to call one after another instead of the model.

        The first gets what the model gets, each other what the one before returned. An
        nn.Sequential is taken apart by itself.
        """
        if isinstance(model, nn.Sequential):
            return list(model)
        raise ConfigError(
            f"layout=pipeline cannot take the model of recipe {type(self).__name__} apart",
            "write def stages(self, model): return [model.embed, *model.blocks, model.out]",
        )

    def score(self, model: nn.Module, batch: B, output: Any) -> dict[str, Tally]:
        """Named tallies to report besides the loss, on valid and test.

        `output` is what the model made of the batch; the model is there for those who decode.
        """
        return {}

    def length(self, example: Any) -> int:
        """What batches of like examples are made by; 1 for what has no length."""
        try:
            return len(example)
        except TypeError:
            return 1

    def samples(self, model: nn.Module, examples: list[Any]) -> Samples:
        """What the model makes of some examples of the test split."""
        return [], []

    def once(self, kind: str, content: Iterable[str], make: Callable[[Path], object]) -> Path:
        """A file of the cache named by its kind and content, made if it is not there.

        Of two processes that want it at the same time one makes it and the other waits.
        """
        digest = hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]
        file = self.cache / f"{kind}-{digest}"
        with (self.cache / f"{kind}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                new = file.with_suffix(".new")
                make(new)
                new.replace(file)  # whole, or not there
        return file

    def answer(self, model: nn.Module, line: str) -> str:
        """What the trained model makes of one line of input (`turnaround try`)."""
        raise RecipeError(
            f"recipe {type(self).__name__} has no answer(model, line)",
            "write one to use `turnaround try`",
        )


class Lazy(Sequence[E], Generic[T, E]):
    """Examples made from `items` when they are first asked for, and kept.

    The first step then waits for the examples it looks at, not for the whole corpus.
    """

    def __init__(self, items: Sequence[T], make: Callable[[T], E]) -> None:
        self._items = items
        self._make = make
        self._made: dict[int, E] = {}

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> E: ...

    @overload
    def __getitem__(self, index: slice) -> list[E]: ...

    def __getitem__(self, index: int | slice) -> E | list[E]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if index not in self._made:
            self._made[index] = self._make(self._items[index])
        return self._made[index]


class Endless(Sequence[E]):
    """Examples that are made for the asking, each once: `make(i)` is the i-th, always the same.

    They are taken in their order and never twice, so that training sees no example again. To
    differ from seed to seed, mix into `make` a number drawn while `Recipe.data` runs.
    """

    COUNT = 2**40  # more than a run can see; `engine/data.py` takes them in order

    def __init__(self, make: Callable[[int], E]) -> None:
        self._make = make

    def __len__(self) -> int:
        return self.COUNT

    @overload
    def __getitem__(self, index: int) -> E: ...

    @overload
    def __getitem__(self, index: slice) -> list[E]: ...

    def __getitem__(self, index: int | slice) -> E | list[E]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(len(self))[index]]
        return self._make(index)


REQUIRED = ("data", "model", "inputs", "loss")


def load(file: Path, plan: Plan, cache: Path) -> Recipe[Any]:
    """The recipe of `plan`, from its file; its knobs become its `Config`."""
    module = _module(file)
    made = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Recipe)
        and value.__module__ == module.__name__
    ]
    if len(made) != 1:
        names = ", ".join(value.__name__ for value in made) or "none"
        raise RecipeError(
            f"{file.name} must hold one subclass of Recipe, found {names}", "one file, one recipe"
        )
    missing = [name for name in REQUIRED if getattr(made[0], name) is getattr(Recipe, name)]
    if missing:
        raise RecipeError(
            f"{made[0].__name__} in {file.name} lacks {', '.join(missing)}",
            f"write {', '.join(f'def {name}(self, …)' for name in missing)}",
        )
    return made[0](_knobs(module, plan), plan.data, cache)


def _knobs(module: ModuleType, plan: Plan) -> Any:
    """The recipe's `Config` with the plan's knobs; none when it has no knobs."""
    config = getattr(module, "Config", None)
    if inspect.isclass(config) and dataclasses.is_dataclass(config):
        return config(**plan.recipe.knobs)
    return None


def _module(file: Path) -> ModuleType:
    """Import the file by path, under its own name, never as a package called `recipes`."""
    name = f"turnaround_recipe_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{file} cannot be imported", "a recipe is a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
