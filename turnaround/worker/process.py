"""The process a rank lives in: a guest in somebody's program, or one that must be told to stop."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from turnaround.engine.failure import Signalled
from turnaround.spec import Plan

# glibc's parameters. What a step has freed the next one takes again: given back to the system in
# between, the pages of a small LSTM were 10,000 to 50,000 faults in 100 steps, 4 % of its
# processor time. Blocks above 32 MB, the most that glibc takes, still come and go by themselves.
KEPT = {-1: 1 << 29, -3: 1 << 25}  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, bytes


class Wish:
    """Somebody's wish that this process stop, by SIGINT or SIGTERM.

    At first it ends the process. Once deferred it is taken down for the loop, which stops and saves
    after the step; whoever asks by SIGINT a second time does not want to wait for that.
    """

    def __init__(self) -> None:
        self._deferred = False
        self._made = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self._made

    def defer(self) -> None:
        """From now on the loop asks."""
        self._deferred = True

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._deferred or (self._made and number == signal.SIGINT):
            raise Signalled(number, signal.Signals(number).name)
        self._made = True

    def __enter__(self) -> Wish:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def settle(plan: Plan, code: Path, threads: int) -> None:
    """Work in the project's folder, with the snapshot's modules first."""
    _keep_memory()
    os.chdir(plan.place.project)
    sys.path.insert(0, str(code))
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # it can be set once in the life of a process
        torch.set_num_interop_threads(1)


def _keep_memory() -> None:
    """Memory that is freed stays with the worker; other C libraries than glibc go their own way."""
    with contextlib.suppress(AttributeError):
        for what, size in KEPT.items():
            ctypes.CDLL(None).mallopt(what, size)


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Afterwards the process is as it was, but that it keeps what it has freed: an inline run is a
    guest in somebody's program."""
    folder, path, threads = Path.cwd(), list(sys.path), torch.get_num_threads()
    environ = dict(os.environ)  # ranks that meet on this machine tell gloo to stay inside it
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        sys.path[:] = path
        torch.set_num_threads(threads)
