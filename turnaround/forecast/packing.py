"""How many runs a device is best shared by, from what copies of one did on it side by side.

    packing = choose([Crowd(2, gain=1.71, alone=812.0, memory=8e8)], room=24e9)
    packing.copies, packing.gain        # 2, 1.71
    packing.line()                      # "2 a device: 1.7 × the trials an hour, 0.8 of 24 GB"

A copy that waits, for data or for the launches of its own small kernels, leaves the device to
another; where none waits, sharing brings nothing, and one at a time is done sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SURE = 1.1  # times: what as many again must bring, as windows of two seconds are known to 0.03
FULL = 0.8  # of the memory that is free: trials are not all alike, and evaluations need more


@dataclass(frozen=True)
class Crowd:
    """Copies of a run on one device, at the same time."""

    copies: int
    gain: float  # of work a second, times that of one alone
    alone: float  # examples/s of that one
    memory: float  # bytes of all of them


@dataclass(frozen=True)
class Packing:
    """How many, and why."""

    copies: int
    gain: float
    alone: float
    memory: float
    room: float  # bytes that there are for them
    more: str  # what as many again would have come to

    def line(self) -> str:
        """All that there is to say of it."""
        gain = f" {self.gain:.1f} × the trials an hour," if self.copies > 1 else ""
        told = f"{self.copies} a device:{gain} {self.memory / 1e9:.1f} of {self.room / 1e9:.0f} GB"
        return f"{told}; {self.more}" if self.more else told


def full(count: int, memory: float, room: float) -> str:
    """Why so many do not fit; "" where they do."""
    return f"{count} would take {memory / 1e9:.1f} GB" if memory > FULL * room else ""


def choose(crowds: Sequence[Crowd], room: float, more: str = "") -> Packing:
    """The largest crowd that fits and does clearly more than half of it did.

    Crowds double from one to the next; `more`: why the next was not measured.
    """
    first = crowds[0]
    best = Crowd(1, 1.0, first.alone, first.memory / first.copies)
    for crowd in crowds:
        if why := full(crowd.copies, crowd.memory, room):
            more = why
            break
        if crowd.gain < SURE * best.gain:
            more = f"{crowd.copies} would do {crowd.gain:.2f} × the work"
            break
        best = crowd
    return Packing(best.copies, best.gain, best.alone, best.memory, room, more)
