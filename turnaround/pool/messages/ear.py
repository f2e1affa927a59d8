"""What workers say: from their pipes into the run's event file.

    threading.Thread(target=pump, args=[ends, journal, run, over, hear]).start()

A full disk does not stop a training: the newest lines wait until there is room.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from turnaround.journal import EventFile, Journal

_GLANCE = 0.05  # seconds until an event is in the run's file


def pump(
    ends: list[int],
    journal: Journal,
    run: str,
    over: threading.Event,
    hear: Callable[[list[bytes]], None],
) -> None:
    """Append what the workers say to the run's event file, until all pipes are closed.

    It looks by itself and at once when the workers are over, and never waits for a line: a writer
    that wakes its reader may lose its core to it (15 µs a line, 10 ms where cores are short).
    """
    with EventFile(journal.folder(run)) as file:
        rests = dict.fromkeys(ends, b"")
        backlog: list[bytes] = []  # what a full disk would not take
        while rests:
            over.wait(_GLANCE)
            over.clear()
            said = []
            for end in [*rests]:
                data, closed = _drained(end)
                *lines, rests[end] = (rests[end] + data).split(b"\n")
                backlog = _append(file, [*backlog, *lines])
                said += lines
                if closed:
                    os.close(end)
                    del rests[end]
            hear(said)


def _drained(end: int) -> tuple[bytes, bool]:
    """What is in the pipe, and whether that was all there will ever be."""
    os.set_blocking(end, False)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while more := os.read(end, 1 << 16):
            data += more
        return data, True
    return data, False


def _append(file: EventFile, lines: list[bytes]) -> list[bytes]:
    """What a full disk would not take, at most the newest 10,000; training goes on."""
    if not lines:
        return []
    with contextlib.suppress(OSError):
        lines = [*file.keep(lines)]
    return lines[-10_000:]
