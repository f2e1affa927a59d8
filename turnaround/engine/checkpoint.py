"""Save, find and restore: whole or not at all, checked before use, never a pickle.

    checkpoints = Checkpoints(folder / "checkpoints", keep=2, warn=report.warning)
    checkpoints.save("step", 100, {"model": …, "optimizer": …, "progress": …})
    checkpoints.newest("step")        # "step-00000100": the newest that can be trusted, or none
    state = checkpoints.load("step-00000100")

A checkpoint is a folder: `tensors.safetensors`, `state.json` (everything that is not a tensor) and
`manifest.json` with the size and SHA-256 of both. It is written under another name, flushed to the
disk and renamed, so that it exists only when it is complete. Those of kind `step` are for going on,
and the newest `keep` stay; the one of kind `best` holds the parameters that scored best, and stays
until a `step` was saved that knows of a better one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from turnaround.engine.world import World
from turnaround.errors import CheckpointError

FORMAT = 1  # of the folder; raised when an older turnaround could not read it
State = dict[str, Any]  # nested dicts and lists of tensors and JSON values
_TENSORS, _REST, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_UNFINISHED = ".unfinished-"
DIGITS = 8  # of a step, in a checkpoint's name
ABREAST = 8  # runs whose checkpoints are written at a time, where many are saved together
Write = Callable[[], OSError | None]
Told = Callable[[OSError | None], object]
_MARK = "tensor:"  # in state.json, where a tensor was: its name in the file of tensors


class Checkpoints:
    """The checkpoints of one run. One process writes; all read."""

    def __init__(self, folder: Path, keep: int, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self._keep = keep
        self._warn = warn
        self.disk: Disk | None = None  # who writes, where many save at the same moment

    def save(
        self, kind: str, step: int, state: State, safe: Callable[[str], None] = lambda name: None
    ) -> str | None:
        """The name under which `state` is now safe, of which `safe` is told; none, with a warning,
        when the disk refused. With a `disk` it is told, or warned, when that settles."""
        files = _encode(state)
        name = f"{kind}-{step:0{DIGITS}d}"
        if self.disk is None:
            return self._told(name, files, safe, self._refused(name, files))
        write = functools.partial(self._refused, name, files)
        self.disk.add(self, write, functools.partial(self._told, name, files, safe))
        return None

    def _told(
        self, name: str, files: dict[str, bytes], safe: Callable[[str], None], why: OSError | None
    ) -> str | None:
        if why is not None:
            self._warn(self._refusal(name, sum(map(len, files.values())), why))
            return None
        safe(name)
        return name

    def _refused(self, name: str, files: dict[str, bytes]) -> OSError | None:
        """Why the disk did not take them; none when they are safe."""
        try:
            self._write(name, files)
        except OSError as error:
            return error
        self._prune(*name.split("-"))
        return None

    def newest(self, kind: str) -> str | None:
        """The newest of a kind that can be trusted; none when there never was one."""
        names = self._names(kind)
        for name in names:
            try:
                self._read(name)
                return name
            except CheckpointError as error:
                self._warn(f"{error.message}; an older one is looked for")
        if names and kind == "step":
            raise CheckpointError(
                f"none of the {len(names)} checkpoints in {self.folder} can be trusted",
                "run it from the start with --again",
            )
        return None

    def best(self) -> str | None:
        """The parameters that scored best, else the newest; none where nothing was saved."""
        return self.newest("best") or self.newest("step")

    def load(self, name: str, world: World | None = None) -> State:
        """The state saved under that name; ranks of `world` that have it not get rank 0's."""
        if world is None or all(world.gather((self.folder / name).is_dir())):
            return _decode(self._read(name))
        files = self._read(name) if world.rank == 0 else {}
        return _decode({file: world.spread(files.get(file, b"")) for file in (_TENSORS, _REST)})

    def sweep(self, last: str | None) -> None:
        """Remove what a killed process left half written, and what it found best after the `step`
        that one goes on from: a future that is discarded."""
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        self._remove("best", self._names("best", last[-DIGITS:] if last else "0"))

    def _names(self, kind: str, last: str = "9" * DIGITS) -> list[str]:
        """Newest first, up to the step `last`: all have as many digits, and sort as numbers do."""
        found = (path.name for path in self.folder.glob(f"{kind}-{'?' * DIGITS}"))
        return sorted((name for name in found if name[-DIGITS:] <= last), reverse=True)

    def _write(self, name: str, files: dict[str, bytes]) -> None:
        unfinished = self.folder / f"{_UNFINISHED}{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            for file, content in {**files, _MANIFEST: _manifest(files)}.items():
                _flushed(unfinished / file, content)
            shutil.rmtree(self.folder / name, ignore_errors=True)  # of a future that was discarded
            unfinished.rename(self.folder / name)
            _flush(self.folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _prune(self, kind: str, last: str) -> None:
        """Keep the newest up to the step `last`; later ones belong to a future that was discarded.

        The newest best may come to do so too, until a `step` is saved: the one before stays.
        """
        steps = self._names("step", last)[: self._keep]
        if kind == "step":
            self._remove("step", steps)
        known = steps[0][-DIGITS:] if steps else last
        self._remove("best", [*self._names("best", last)[:1], *self._names("best", known)[:1]])

    def _remove(self, kind: str, but: list[str]) -> None:
        """All of that kind that are not in `but`."""
        for name in {*self._names(kind)} - {*but}:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _read(self, name: str) -> dict[str, bytes]:
        """The files of a checkpoint, as they were written."""
        folder = self.folder / name
        try:
            manifest = json.loads((folder / _MANIFEST).read_bytes())
            written = manifest["files"]
            files = {file: (folder / file).read_bytes() for file in (_TENSORS, _REST)}
            damaged = [file for file in files if _digest(files[file]) != written[file]]
            newer = manifest["format"] > FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"checkpoint {name} cannot be read ({error!r})") from None
        if newer:
            raise CheckpointError(f"checkpoint {name} was written by a newer turnaround")
        if damaged:
            raise CheckpointError(f"checkpoint {name} is damaged ({damaged[0]} has changed)")
        return files

    def _refusal(self, name: str, needs: int, error: OSError) -> str:
        """Why a checkpoint was not saved, and what there is instead."""
        try:
            free = f"the disk has {_megabytes(shutil.disk_usage(self.folder).free)} free"
        except OSError:
            free = "its folder is gone"
        kept = next(iter(self._names("step")), "none")
        return (
            f"checkpoint {name} was not saved: {error.strerror or error}; "
            f"it needs {_megabytes(needs)}, {free}. Training goes on; newest that is safe: {kept}"
        )


class Disk:
    """Checkpoints of many runs, written beside each other: the disk takes them at one go.

    Saving is mostly waiting for it: with eight that wait at a time a checkpoint of a perceptron
    takes 2.7 to 6 ms instead of 14 to 30, on a disk that others write to.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[Write, Told]]] = {}  # by run, each in its order

    def add(self, run: Checkpoints, write: Write, told: Told) -> None:
        """Write when it is time, and say in this thread what came of it."""
        self._waiting.setdefault(id(run), []).append((write, told))

    def settle(self) -> None:
        """All of it is safe, or refused."""
        if not self._waiting:
            return
        runs, self._waiting = [*self._waiting.values()], {}
        with ThreadPoolExecutor(min(ABREAST, len(runs)), "checkpoints") as threads:
            found = threads.map(lambda run: [write() for write, _ in run], runs)
        for run, refusals in zip(runs, found, strict=True):
            for (_, told), why in zip(run, refusals, strict=True):
                told(why)


def _encode(state: State) -> dict[str, bytes]:
    tensors: dict[str, Tensor] = {}
    rest = json.dumps(_taken_out(state, "", tensors))
    return {_TENSORS: save(tensors), _REST: rest.encode()}


def _decode(files: dict[str, bytes]) -> State:
    state: State = _put_back(json.loads(files[_REST]), load(files[_TENSORS]))
    return state


def _taken_out(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """`value` with a mark for each tensor; `tensors` gets a copy of each, of tied ones two."""
    if isinstance(value, Tensor):
        contiguous = torch.contiguous_format
        tensors[path] = value.detach().to("cpu", copy=True, memory_format=contiguous)
        return _MARK + path
    if isinstance(value, dict):
        return {str(key): _taken_out(v, f"{path}/{key}", tensors) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_taken_out(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _put_back(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, str) and value.startswith(_MARK):
        return tensors[value.removeprefix(_MARK)]
    if isinstance(value, dict):
        return {key: _put_back(v, tensors) for key, v in value.items()}
    if isinstance(value, list):
        return [_put_back(v, tensors) for v in value]
    return value


def _manifest(files: dict[str, bytes]) -> bytes:
    digests = {file: _digest(content) for file, content in files.items()}
    return json.dumps({"format": FORMAT, "files": digests}, indent=1).encode()


def _digest(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Make the renaming itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
