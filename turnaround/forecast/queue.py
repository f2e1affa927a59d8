"""When runs that wait will start, if each before them takes as long as runs like it took.

    jobs = [Job("a", "cpu", 2, guess, running=True), Job("b", "cpu", 1, other)]
    starts({"cpu": 2}, jobs)            # {"b": Interval(low=28, middle=34, high=45)}, of seconds

A few hundred queues are played to their end, each with other durations; first come first served,
and nothing overtakes, as the scheduler has it.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from turnaround.forecast.guess import TAIL, Guess, Interval

GAMES = 200  # 1 ms for each run in the queue


@dataclass(frozen=True)
class Job:
    """A run that holds devices, or waits for them."""

    run: str
    kind: str  # cpu or cuda
    need: float  # devices
    takes: Guess | None  # seconds from now, or from its start; none when nobody knows
    running: bool = False


def starts(capacity: Mapping[str, int], jobs: Sequence[Job]) -> dict[str, Interval]:
    """Seconds until each waiting job starts; without those of which nobody can say.

    `jobs` are in the order in which they go.
    """
    rng = random.Random(0)  # the same queue gives the same answer
    games = [_game(capacity, jobs, _draws(jobs, rng)) for _ in range(GAMES)]
    found = {}
    for run in games[0]:
        times = sorted(game[run] for game in games)
        low, middle, high = (times[int(share * (GAMES - 1))] for share in (TAIL, 0.5, 1 - TAIL))
        if math.isfinite(high):
            found[run] = Interval(low, middle, high)
    return found


def _draws(jobs: Sequence[Job], rng: random.Random) -> list[float]:
    """A duration for each, all a little too long or too short together: they share a machine."""
    shared = rng.gauss(0, math.sqrt(0.5))
    return [_draw(job.takes, shared + rng.gauss(0, math.sqrt(0.5))) for job in jobs]


def _draw(takes: Guess | None, off: float) -> float:
    return takes.middle * math.exp(takes.spread * off) if takes else math.inf


def _game(
    capacity: Mapping[str, int], jobs: Sequence[Job], takes: Sequence[float]
) -> dict[str, float]:
    """Starts of the waiting jobs when each takes so long."""
    free: dict[str, float] = {**capacity}
    ends: list[tuple[float, str, float]] = []
    begun: dict[str, float] = {}
    now = 0.0
    for job, seconds in sorted(zip(jobs, takes, strict=True), key=lambda pair: not pair[0].running):
        while not job.running and free.get(job.kind, 0) < job.need and ends:
            now, kind, devices = heapq.heappop(ends)
            free[kind] += devices
        if not job.running:
            begun[job.run] = now if free.get(job.kind, 0) >= job.need else math.inf
        free[job.kind] = free.get(job.kind, 0) - job.need
        heapq.heappush(ends, (now + seconds, job.kind, job.need))
    return begun
