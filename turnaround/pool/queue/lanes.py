"""Who is next of all lanes, while shares change with each start.

front = Front(lanes, shares)
while (run := front.next()) is not None:
    front.advance()                   # or `leave`, past all who are in its lane
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

from turnaround.pool.queue.waiting import Lane, Place


class Front:
    """The heads of all lanes, who goes first in front; lanes are left when they are full."""

    def __init__(self, lanes: Mapping[Lane, Sequence[Place]], shares: Mapping[str, float]) -> None:
        self._lanes = lanes
        self._shares = shares
        self._heap = [self._entry(lane, 0) for lane in lanes]
        heapq.heapify(self._heap)

    def next(self) -> str | None:
        """Who is in front now that shares are what they are."""
        while self._heap:
            _, share, (_, run), lane, nth = self._heap[0]
            if share == self._shares[lane[1]]:
                return run
            heapq.heapreplace(self._heap, self._entry(lane, nth))
        return None

    def advance(self) -> None:
        """Past the one in front, to the next of its lane."""
        *_, lane, nth = heapq.heappop(self._heap)
        if nth + 1 < len(self._lanes[lane]):
            heapq.heappush(self._heap, self._entry(lane, nth + 1))

    def leave(self) -> None:
        """Past all who are in the lane of the one in front."""
        heapq.heappop(self._heap)

    def _entry(self, lane: Lane, nth: int) -> tuple[int, float, Place, Lane, int]:
        return -lane[0], self._shares[lane[1]], self._lanes[lane][nth], lane, nth
