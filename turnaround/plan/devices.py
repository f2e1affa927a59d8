"""How one group lies on devices: the degrees of a layout, and the threads of each worker."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Literal

from turnaround.errors import PlanError
from turnaround.spec import DEGREES, Cluster, Inventory, Layout, Update, from_dict


def kind(asked: Literal["auto", "cpu", "cuda"], inventory: Inventory) -> Literal["cpu", "cuda"]:
    """The kind of device that was asked for, or that there is."""
    if asked == "auto":
        return "cuda" if inventory.gpus else "cpu"
    if asked == "cuda" and not inventory.gpus:
        message = "cluster.device=cuda needs a GPU, but there is none"
        raise PlanError(message, "cluster.device=cpu, or see `turnaround doctor`")
    return asked


def layout(asked: Layout, device: str, inventory: Inventory) -> Layout:
    """The layout with all its degrees; `ddp` and `fsdp` alone take every device, at least two."""
    have, takes = inventory.count(device), DEGREES[asked.name]
    _check_degrees(asked)
    alone = {takes[0]: max(2, have)} if asked.name in ("ddp", "fsdp") else {}
    degrees = {name: getattr(asked, name) or alone.get(name, 1) for name in takes}
    made = from_dict(Layout, asdict(asked) | degrees)
    if made.devices > have:
        unit = "GPU" if device == "cuda" else "CPU core"
        found = f"there is 1 ({unit})" if have == 1 else f"there are {have} ({unit}s)"
        fits = have * degrees[takes[0]] // made.devices
        raise PlanError(
            f"layout={made.name} with {_words(degrees)} needs {made.devices} devices, but {found}",
            f"layout.{takes[0]}={fits}" if fits > 1 else "layout=single",
        )
    return made


def _check_degrees(asked: Layout) -> None:
    """Nothing is asked of a layout that it would ignore, and all that it cannot guess."""
    takes = DEGREES[asked.name]
    names = [field.name for field in fields(asked) if field.name in _AXES]
    given = {name: degree for name in names if (degree := getattr(asked, name)) is not None}
    if asked.name == "single" and asked.devices > 1:
        message = f"{_words(given)} asks for {asked.devices} devices, but layout=single is one"
        raise PlanError(message, _taking(given))
    if ignored := {name: n for name, n in given.items() if n > 1 and name not in takes}:
        message = f"layout={asked.name} has no {_words(ignored)}, only {' and '.join(takes)}"
        raise PlanError(message, _taking(given))
    if asked.sequence and asked.name != "tensor":
        message = f"layout.sequence=true is for layout=tensor, and this is layout={asked.name}"
        raise PlanError(message, "layout=tensor layout.tensor=2 layout.sequence=true")
    needs = {"hsdp": takes, "tensor": takes[:1], "pipeline": takes[:1]}.get(asked.name, ())
    if missing := [name for name in needs if name not in given]:
        wants = " and ".join(f"layout.{name}" for name in missing)
        raise PlanError(f"layout={asked.name} needs {wants}", _words(dict.fromkeys(missing, 2)))


_AXES = {axis for degrees in DEGREES.values() for axis in degrees}


def _taking(degrees: dict[str, int]) -> str:
    """The words for the first layout that takes most of these degrees."""
    wanted = {name for name, degree in degrees.items() if degree > 1}
    shelf = [name for name in DEGREES if name != "single"]
    best = max(shelf, key=lambda name: len(wanted & {*DEGREES[name]}))
    taken = {name: degree for name, degree in degrees.items() if name in DEGREES[best]}
    return f"layout={best} {_words(taken)}"


def _words(degrees: dict[str, int]) -> str:
    return " ".join(f"layout.{name}={degree}" for name, degree in degrees.items())


def cluster(
    asked: Cluster,
    device: Literal["cpu", "cuda"],
    layout: Layout,
    update: Update,
    inventory: Inventory,
) -> Cluster:
    """The device, and the threads that each of its workers gets."""
    workers = layout.devices * (update.groups or 1)
    return replace(asked, device=device, threads=asked.threads or threads(workers, inventory))


def threads(workers: int, inventory: Inventory) -> int:
    """Threads of each worker: its share of half the cores, at most four.

    The other half is for everything else: a small LSTM with two threads on two busy cores was 10 to
    100 times slower than with one.
    """
    return max(1, min(4, inventory.cpus // (2 * workers)))
