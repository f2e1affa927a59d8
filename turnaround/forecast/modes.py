"""Which update learns fastest here: seconds for each batch of useful examples, simulated.

    choice = choose([Rank(seconds=[0.1, 0.1], more=0.3, agree=0.02, exchange=0.03), …], OFFERED)
    choice.best.name, choice.best.settings     # backup, {"spares": 1}
    choice.lines()                             # what each would take and why

Each device's own seconds are drawn anew from those that were measured; what an update waits for is
then arithmetic on the draws. An example counts for less where gradients are stale or groups apart:
`FRESH` and `ALIKE`, measured by `scripts/bench/modes`. Other models will differ, so one of these
updates is chosen only where it promises clearly more than `sync`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
EVERY = 10  # steps between the agreements of `local`
# As federated averaging: an outer momentum would change the learning rate too, and what that does
# to a run no probe of seconds can tell.
AVERAGING = {"every": EVERY, "outer_lr": 1.0, "outer_momentum": 0.0}
ALIKE = 0.8  # what an example counts then; 0.83 to 0.86 was measured
# By how much an example's price grows with each push that its gradient is behind: 0.02 to 0.04 was
# measured with AdaGrad, but 0.8 for a deep model whose learning rate was as high as it could be.
FRESH = 0.1
SURE = 0.9  # of the seconds of `sync`: an inexact update takes less, or is not chosen
SLOWER = 1.5  # times the median: a rank that is named
OFFERED = ("sync", "backup", "local", "async", "hybrid")

Draws = NDArray[np.float64]


@dataclass(frozen=True)
class Rank:
    """What a probe measured on one device, or a layout of them: seconds."""

    seconds: list[float]  # of steps on its share of a batch, before it waits for anybody
    more: float  # that a step on a whole batch takes longer
    agree: float  # adding up the gradients of all
    exchange: float  # pushing them to a service, and pulling as much


@dataclass(frozen=True)
class Mode:
    """One update with its settings."""

    name: str
    seconds: float  # for as many useful examples as a batch has
    why: str
    together: int | None = 1  # devices that make a group; none: all of them
    settings: dict[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """`backup spares=1 0.13 s: the first 3 of 4 take 0.10 s …`."""
        settings = "".join(f" {key}={value}" for key, value in self.settings.items())
        seconds = f" {_told(self.seconds)}" if self.seconds else ""
        return f"{self.name}{settings}{seconds}: {self.why}"


@dataclass(frozen=True)
class Choice:
    """All of them, the fastest first; the chosen one is not always that."""

    best: Mode
    modes: list[Mode]
    facts: str  # compute against communication

    def lines(self) -> list[str]:
        """The arithmetic, a line each."""
        return [*filter(None, [self.facts]), *(mode.line() for mode in self.modes)]

    def line(self) -> str:
        """What was chosen and what else there was, in one."""
        others = [f"{m.name} {_told(m.seconds)}" for m in self.modes if m is not self.best]
        return " ".join([self.best.line(), *([f"({', '.join(others)})"] if others else [])])


_ONLY = Mode("sync", 0.0, "there is one device, and nobody to agree with", None)
ALONE = Choice(_ONLY, [_ONLY], "")


def choose(ranks: Sequence[Rank], offered: Collection[str] = OFFERED) -> Choice:
    """The update that takes the least time, `sync` where another promises little more."""
    found = [_MODES[name](ranks) for name in OFFERED if name in offered]
    modes = sorted((m for m in found if m is not None), key=lambda mode: mode.seconds)
    exact = next((mode for mode in modes if mode.name == "sync"), modes[0])
    best = modes[0] if modes[0].seconds < SURE * exact.seconds else exact
    return Choice(best, modes, _facts(ranks))


# ── each update's arithmetic ──


def _sync(ranks: Sequence[Rank]) -> Mode:
    """The slowest, and an agreement."""
    slowest, agree = float(_drawn(ranks).max(axis=0).mean()), _agree(ranks)
    why = f"the slowest of {len(ranks)} takes {_told(slowest)}{_named(ranks)}, "
    return Mode("sync", slowest + agree, f"{why}an agreement {_told(agree)}", None)


def _backup(ranks: Sequence[Rank]) -> Mode:
    """The first N − b, whose share of the batch is all that counts; for the best b."""
    ordered = np.sort(_drawn(ranks)[:, :, 0], axis=0).mean(axis=1)
    exchange, count = _exchange(ranks), len(ranks)
    takes = [(ordered[count - b - 1] + exchange) * count / (count - b) for b in range(1, count)]
    spares = int(np.argmin(takes)) + 1
    enough = count - spares
    why = (
        f"the first {enough} of {count} take {_told(ordered[enough - 1])}, the service "
        f"{_told(exchange)}; {enough}/{count} of a batch counts"
    )
    return Mode("backup", float(takes[spares - 1]), why, 1, {"spares": spares})


def _local(ranks: Sequence[Rank]) -> Mode:
    """The slowest over many steps: random delays even out, and agreements are few."""
    slowest = float(_drawn(ranks, EVERY).sum(axis=2).max(axis=0).mean()) / EVERY
    agree = _agree(ranks) / EVERY
    why = (
        f"the slowest over {EVERY} steps takes {_told(slowest)} a step, agreements "
        f"{_told(agree)}; {ALIKE:.0%} counts"
    )
    return Mode("local", (slowest + agree) / ALIKE, why, 1, AVERAGING)


def _async(ranks: Sequence[Rank]) -> Mode:
    """The sum of their rates; a gradient is behind by one push of each other, on average."""
    each = [float(np.mean(rank.seconds)) + rank.more for rank in ranks]
    return _apart("async", each, _exchange(ranks), 1)


def _hybrid(ranks: Sequence[Rank]) -> Mode | None:
    """The same for pairs of neighbours, each in step."""
    count = len(ranks)
    if count < 4 or count % 2:
        return None
    drawn, part = _drawn(ranks)[:, :, 0], (1 / 2 - 1 / count) / (1 - 1 / count)
    own = drawn + part * np.array([[rank.more] for rank in ranks])
    pairs = np.maximum(own[::2], own[1::2]).mean(axis=1) + _agree(ranks)
    return _apart("hybrid", [float(pair) for pair in pairs], _exchange(ranks), 2)


def _apart(name: str, each: list[float], exchange: float, together: int) -> Mode:
    """Groups that take so many seconds for a batch, and the same again for nobody."""
    rate = sum(1 / (own + exchange) for own in each)
    price = 1 + FRESH * (len(each) - 1)  # mean staleness is M − 1 whatever their paces are
    why = (
        f"{len(each)} groups make {rate:.3g} batches a second, each with {_told(exchange)} for "
        f"the service; {1 / price:.0%} counts, stale by {len(each) - 1}"
    )
    return Mode(name, price / rate, why, together)


_MODES = {"sync": _sync, "backup": _backup, "local": _local, "async": _async, "hybrid": _hybrid}


# ── what was measured ──


def _drawn(ranks: Sequence[Rank], steps: int = 1) -> Draws:
    """Seconds of (rank, draw, step); the same for the same ranks."""
    random = np.random.default_rng(0)
    return np.stack([random.choice(rank.seconds, (DRAWS, steps)) for rank in ranks])


def _agree(ranks: Sequence[Rank]) -> float:
    """Nobody is done before the last."""
    return max(rank.agree for rank in ranks)


def _exchange(ranks: Sequence[Rank]) -> float:
    return max(rank.exchange for rank in ranks)


def _facts(ranks: Sequence[Rank]) -> str:
    """`a step computes 0.10 s on its share of the batch and communicates 0.02 s: 83 % computes`."""
    own, agree = float(np.median([np.mean(r.seconds) for r in ranks])), _agree(ranks)
    part = own / max(own + agree, 1e-12)
    return (
        f"a step computes {_told(own)} on its share of the batch and communicates {_told(agree)}: "
        f"{part:.0%} computes"
    )


def _named(ranks: Sequence[Rank]) -> str:
    """`, because rank 3 is 10 × slower`, of one that is by itself."""
    means = [float(np.mean(rank.seconds)) for rank in ranks]
    worst, usual = int(np.argmax(means)), float(np.median(means))
    if means[worst] < SLOWER * usual:
        return ""
    return f", because rank {worst} is {means[worst] / usual:.2g} × slower"


def _told(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"
