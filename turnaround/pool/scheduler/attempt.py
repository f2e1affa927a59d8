"""One attempt of a run as its machines tell it: a gang may lie on several.

    attempt = Attempt(size=4, vital=4, parts={"a": {...}, "b": {...}})   # a gang's state by machine
    attempt.running         # every rank was forked
    attempt.decided         # it will end, and who is still there is in the way
    attempt.outcome("10.0.0.7 was lost")       # none while somebody is at it

Ranks of which no machine tells were on one that is gone.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turnaround.pool.node.outcome import LOST, Outcome, verdict

State = Mapping[str, Any]  # of a gang on one machine


@dataclass(frozen=True)
class Attempt:
    """What is known of all its ranks."""

    size: int
    vital: int
    parts: Mapping[str, State]  # by machine

    @property
    def missing(self) -> list[int]:
        """Ranks of which no machine knows: theirs is gone."""
        if any(not part["placement"]["ranks"] for part in self.parts.values()):
            return []  # it has them all
        here = {rank for part in self.parts.values() for rank in part["placement"]["ranks"]}
        return [rank for rank in range(self.size) if rank not in here]

    @property
    def running(self) -> bool:
        """Every part of it is."""
        return not self.missing and all(part["running"] for part in self.parts.values())

    @property
    def stopping(self) -> bool:
        """Somebody asked it to stop."""
        return any(part["stopping"] for part in self.parts.values())

    @property
    def silent(self) -> float:
        """Seconds in which nothing was heard, if they are more than a step may take."""
        return max((part.get("silent", 0.0) for part in self.parts.values()), default=0.0)

    @property
    def step(self) -> int:
        """The last that was told of."""
        return max((part.get("step", 0) for part in self.parts.values()), default=0)

    @property
    def decided(self) -> bool:
        """A vital rank failed, or all of them have ended."""
        ended = [code for rank, code in self._codes() if rank < self.vital]
        return any(ended) or len(ended) == self.vital or bool(self._unborn())

    def outcome(self, gone: str = "") -> Outcome | None:
        """One verdict over all machines; `gone` says what became of one that is missing."""
        if any(part["outcome"] is None for part in self.parts.values()):
            return None
        if unborn := self._unborn():
            return unborn
        if [rank for rank in self.missing if rank < self.vital] and not self.stopping:
            return Outcome(LOST, True, gone or f"the machine of rank {self.missing[0]} was lost")
        return verdict(self._codes(), self.vital, self.stopping)

    def _codes(self) -> list[tuple[int, int]]:
        """(rank, exit code), in the order in which they ended; the missing were killed last."""
        told = [tuple(code) for part in self.parts.values() for code in part["codes"]]
        ended = [(rank, code) for rank, code, _ in sorted(told, key=lambda code: code[2])]
        return [*ended, *((rank, -signal.SIGKILL.value) for rank in self.missing)]

    def _unborn(self) -> Outcome | None:
        """A machine that could not start its part."""
        ends = (Outcome(**part["outcome"]) for part in self.parts.values() if part["outcome"])
        return next(
            (end for end in ends if end.lost and "could not be started" in end.message), None
        )
