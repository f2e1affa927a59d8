"""Cores that trials keep to, so that none is moved about while others fill the machine.

    cores = Cores(os.sched_getaffinity(0), folder)
    with cores.kept(1, share=0.5) as mine:      # [3]; two such runs may be there, as was measured
        ...

Left to the system, two trials on two busy cores took 3 % (matrix products) to 14 % (a small LSTM)
more processor time. A core is held by a lock that all pools of the machine know; where none is
free, a run goes where it likes.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path


class Cores:
    """Those of one machine."""

    def __init__(self, cores: Collection[int], locks: Path) -> None:
        self._locks = locks
        self._load = dict.fromkeys(sorted(cores), 0.0)  # runs on each, by their shares
        self._held: dict[int, int] = {}  # core → descriptor of its lock
        self._guard = threading.RLock()

    @contextlib.contextmanager
    def kept(self, count: int, share: float) -> Iterator[list[int]]:
        """So many, the idlest first; all of them, for anybody, where too few are to be had."""
        mine = self._take(count, share)
        try:
            yield mine or [*self._load]
        finally:
            self._put(mine, -share)

    def _take(self, count: int, share: float) -> list[int]:
        with self._guard:
            idle = sorted(self._load, key=lambda core: (self._load[core], core))
            fits = (core for core in idle if self._load[core] + share <= 1 and self._locked(core))
            mine = [*itertools.islice(fits, count)]
            mine = mine if len(mine) == count else []
            self._put(mine, share)
            return mine

    def _put(self, cores: list[int], share: float) -> None:
        with self._guard:
            for core in cores:
                self._load[core] += share
            for core in [core for core in self._held if not self._load[core]]:
                os.close(self._held.pop(core))

    def _locked(self, core: int) -> bool:
        """Its lock is ours."""
        if core not in self._held:
            with contextlib.suppress(OSError):  # another user's file
                fd = os.open(self._locks / f"turnaround-core-{core}", os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._held[core] = fd
                except OSError:
                    os.close(fd)
        return core in self._held
