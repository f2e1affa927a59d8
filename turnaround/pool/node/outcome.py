"""How an attempt ended, by what became of each of its ranks.

    verdict([(0, 3), (1, -9)], vital=2)      # Outcome(3, lost=True, "rank 1 died (SIGKILL)")

Exit codes are those of `worker/`; negative ones are signals.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

STOP_GRACE = 30.0  # seconds to save in; torchrun gives as many
UNSAVED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # exit codes of who was stopped before any step
LOST = 3  # exit code: a peer or the machine failed, not the user's code


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    exit_code: int
    lost: bool = False  # a worker was killed, or could not be started: another attempt may succeed
    message: str = ""


def verdict(codes: Sequence[tuple[int, int]], vital: int, stopping: bool = False) -> Outcome:
    """One for all ranks, from (rank, exit code) in the order in which they ended.

    The first that failed by itself is the cause. What became of ranks that are not vital decides
    nothing.
    """
    failed = [(rank, code) for rank, code in codes if code and rank < vital]
    if not failed:
        return Outcome(0)
    own = [code for _, code in failed if code not in (LOST, -signal.SIGKILL)]
    killed = [(rank, code) for rank, code in failed if code < 0]
    if killed and not stopping:
        rank, code = killed[0]
        return Outcome(LOST, True, f"rank {rank} died ({signal.Signals(-code).name})")
    if own and own[0] > 0:
        return Outcome(own[0])
    if stopping and any(code in UNSAVED for _, code in failed):
        return Outcome(75, message="stopped before there was anything to save")
    if stopping:
        grace = f"not saved within {STOP_GRACE:.0f} s"
        return Outcome(75, message=f"killed: {grace}; resumes from the checkpoint before")
    return Outcome(LOST, True, f"rank {failed[0][0]} lost its peers")
