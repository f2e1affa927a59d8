"""By how much another machine's clock is ahead of ours, and what it says by our clock.

    ahead = measure(lambda: daemon("hello")["time"])
    line = dated(line, ahead)               # an event that was stamped there

A question that is answered by a clock's reading: halfway between asking and hearing ours would have
read the same (Mills, 1991, "Internet Time Synchronization"). The quickest of a few answers is off
by half of its round trip at most; less than that is no difference.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

PINGS = 5
FRESH = 60.0  # seconds an answer is good for: clocks drift by a few ms in that time


def measure(ask: Callable[[], float]) -> float:
    """Seconds by which the clock that `ask` reads is ahead."""
    trip, ahead = min(_ping(ask) for _ in range(PINGS))
    return ahead if abs(ahead) > trip / 2 else 0.0


def _ping(ask: Callable[[], float]) -> tuple[float, float]:
    asked = time.time()
    told = ask()
    heard = time.time()
    return heard - asked, told - (asked + heard) / 2


def dated(line: bytes, ahead: float) -> bytes:
    """An event, with the moments that it names by our clock; what is no event stays as it is."""
    try:
        event = json.loads(line)
        event["time"] -= ahead
        if "began" in event["data"]:
            event["data"]["began"] -= ahead
    except (ValueError, TypeError, KeyError):
        return line
    return json.dumps(event).encode()


class Clocks:
    """The offsets of machines, measured again once a minute."""

    def __init__(self, ask: Callable[[str], float]) -> None:
        self._ask = ask  # what the clock of a machine reads
        self._ahead: dict[str, float] = {}
        self._since: dict[str, float] = {}

    def ahead(self, machine: str) -> float:
        """As of the last measurement."""
        return self._ahead.get(machine, 0.0)

    def look(self, machine: str) -> None:
        """Measure, if it is time to."""
        now = time.monotonic()
        if now - self._since.get(machine, -FRESH) >= FRESH:
            self._ahead[machine] = measure(lambda: self._ask(machine))
            self._since[machine] = now
