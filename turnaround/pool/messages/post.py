"""What workers say on a machine that has not got the run's folder, on its way to the one that has.

    outbox = Outbox(folder)          # of the run, on this machine
    outbox.news()                    # {"events": "…\n", "log": "…", "upto": [812, 90], …}
    outbox.heard([812, 90])          # the scheduler has it

What was not acknowledged is told again: a scheduler that died may lose its answer, not a line.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

EVENTS, LOG = "events.jsonl", "log.txt"
_MOST = 1 << 20  # bytes of each file in one answer


class Outbox:
    """The two files of one run that grow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = [_size(folder / name) for name in (EVENTS, LOG)]  # an earlier attempt's

    def news(self) -> dict[str, Any]:
        """What is new since the last that was heard; `more`: there was not room for all."""
        events, _ = _part(self._folder / EVENTS, self._told[0])
        log, to = _part(self._folder / LOG, self._told[1])
        whole = events[: events.rfind(b"\n") + 1]  # a line that is being written waits
        upto = [self._told[0] + len(whole), to]
        text = log.decode(errors="replace")
        more = max(len(events), len(log)) == _MOST
        return {"events": whole.decode(), "log": text, "upto": upto, "more": more}

    @property
    def empty(self) -> bool:
        """Nothing has been said since."""
        sizes = [_size(self._folder / name) for name in (EVENTS, LOG)]
        return sizes == self._told

    def heard(self, upto: list[int]) -> None:
        """All up to here is safe."""
        self._told = upto


def opened(gang: dict[str, Any], late: Collection[str], ahead: float = 0.0) -> dict[str, Any]:
    """The state of a gang by our clock; it has no end while words of it are still on the way."""
    held = f"{gang['run']}/{gang['attempt']}" in late
    codes = [[rank, code, when - ahead] for rank, code, when in gang["codes"]]
    return {**gang, "codes": codes} | ({"outcome": None} if held else {})


def _part(file: Path, begin: int) -> tuple[bytes, int]:
    try:
        with file.open("rb") as opened:
            opened.seek(begin)
            data = opened.read(_MOST)
            return data, begin + len(data)
    except FileNotFoundError:
        return b"", begin


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
