"""The event file of a run: one line each, added by several processes, never changed.

    with EventFile(folder) as file:
        file.append(Event("notice", {"message": "…"}, time.time()))
    for event, offset in read_events(folder / "events.jsonl"): ...

A full disk cuts a line in the middle. What follows begins a line of its own, so that nothing else
is lost with it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from turnaround.spec import Event, to_json

NAME = "events.jsonl"
_BEGIN = '{"kind": "'  # of a line, as all of ours write it


class EventFile:
    """The event file of one run, open for appending. Each event is one `write` of whole lines."""

    def __init__(self, folder: Path) -> None:
        how = os.O_RDWR | os.O_APPEND | os.O_CREAT
        self._fd = os.open(folder / NAME, how, 0o644)
        size = os.fstat(self._fd).st_size
        self._cut = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def append(self, *events: Event) -> None:
        """Add the events; OSError when the disk is full or gone."""
        self.write(*(to_json(event).encode() for event in events))

    def write(self, *lines: bytes) -> None:
        """Add events that are lines already: what a worker said needs no reading to be kept."""
        if self.keep(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), NAME)

    def keep(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Add what the disk has room for; the rest may be offered again. OSError: for nothing."""
        begin = b"\n" if self._cut else b""
        text = begin + b"".join(line + b"\n" for line in lines)
        done = os.write(self._fd, text)
        if done == len(text):
            self._cut = False
            return []
        self._cut = text[done - 1 : done] != b"\n"
        return lines[text[len(begin) : done].count(b"\n") :]

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def read_events(
    path: Path, offset: int = 0, kinds: Collection[str] = ()
) -> Iterator[tuple[Event, int]]:
    """Events from byte `offset` on, each with the offset after it; a torn last line waits.

    Of some `kinds` only, where they are named: a line is told by its first word, at a tenth of the
    cost of reading it.
    """
    wanted = tuple(f'{_BEGIN}{kind}"'.encode() for kind in kinds)
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            if wanted and line.startswith(_BEGIN.encode()) and not line.startswith(wanted):
                continue
            try:
                yield Event(**json.loads(line)), offset
            except (ValueError, TypeError):
                continue  # half a line from a full disk, followed by a good one
