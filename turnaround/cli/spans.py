"""What the command line itself takes, for the ledger: from the key press on.

spans = Spans()
with spans("plan"):
    plan = …
pool.submit(plan, spans=spans.told())
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Spans:
    """Rows of seconds, in the order in which they came, and the words that were typed."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = list(words)
        self._began = time.time() - _age()
        self._rows: dict[str, float] = {"cli": time.time() - self._began}

    @contextmanager
    def __call__(self, row: str) -> Iterator[None]:
        """The time inside is the row's."""
        began = time.perf_counter()
        yield
        self._rows[row] = self._rows.get(row, 0.0) + time.perf_counter() - began

    def told(self) -> dict[str, Any]:
        """As the data of a `spans` event."""
        return {"began": self._began, "rows": self._rows, "words": self.words}


def _age() -> float:
    """Seconds since this process was started, to 10 ms; 0 where the kernel does not tell."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # since boot
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, AttributeError):
        return 0.0
