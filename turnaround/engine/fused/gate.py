"""Whether trials are trained as one, and how many at a time: what was measured decides.

    choice = choose(solo, grouped, trials=64, work=64_000, clock=time.process_time)
    choice.size                  # of groups; 1: each trial by itself
    str(choice)                  # "trained 16 at a time; steps a second …: 4: 0.91, 16: 3.12"

How much there is to win depends on the model, the batch and the machine: of 64 members, a small
perceptron gains tenfold, a small convolution little or nothing. So a few steps of each are taken
with models that are thrown away. What `Notes` of an earlier choice know is not measured again.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from turnaround.engine import loop
from turnaround.engine.fused.batches import tensors
from turnaround.engine.fused.notes import Notes, known
from turnaround.engine.fused.stack import learnt
from turnaround.engine.loop import Parts
from turnaround.errors import ConfigError

SIZES = (4, 16, 64)  # members
STEPS = 20  # of each that are measured
WARM = 5  # before them, not counted
LONG, BRIEF = 0.5, 0.1  # seconds of a group, and of solo ones, after which fewer do
FEWEST = 3  # but not fewer than this
WORTH = 1.05  # times the steps of one by one that a group must take to be chosen
SHARE = 0.04  # of the work of one by one that this may cost
SLOW = 2.0  # seconds of a step of a group that is not even tried

Step = Callable[[], None]


@dataclass(frozen=True)
class Choice:
    """What was measured, and what follows."""

    size: int = 1  # of groups
    gains: dict[int, float] = field(default_factory=dict)  # members → steps of solo ones in a step
    why: str = ""  # it could not be

    @property
    def gain(self) -> float:
        """Steps of solo ones in the time of a step of each."""
        return self.gains.get(self.size, 1.0)

    def __str__(self) -> str:
        if self.why:
            return f"trained one by one: {self.why}"
        listed = ", ".join(f"{size}: {gain:.2f}" for size, gain in self.gains.items())
        measured = f"; steps a second beside one by one: {listed}" if listed else ""
        return f"trained {self.size} at a time{measured}"


def choose(
    solo: Callable[[], Step],
    grouped: Callable[[int], Step],
    trials: int,
    work: float,
    clock: Callable[[], float],
    notes: Notes | None = None,
) -> Choice:
    """The size of groups of the `trials` that takes most steps a second.

    All of them have `work` steps to do, and a small share of that is all this may cost. Where it
    would be a group, solo steps are measured once more: what came in between does not flatter it.
    """
    began, step = clock(), solo()
    single = pace(step, clock, BRIEF)
    most = SHARE * work * single
    before = notes.paces(single) if notes else {}
    told = {size: known(before, size) for size in sizes(trials)}
    steps = {size: seconds for size, seconds in told.items() if seconds}
    measured: dict[int, float] = {}
    missing = [size for size in told if size not in steps]
    for nth, size in enumerate(missing):
        last = max(steps, default=1)
        expected = steps.get(last, single) * size / last
        left = most - (clock() - began)
        if expected > SLOW or FEWEST * expected > left:
            break
        share = left / (2 * (len(missing) - nth))  # as much again for what is made to measure it
        steps[size] = measured[size] = pace(grouped(size), clock, min(LONG, share))
    if not steps:
        return Choice(why="there is too little to do to find out whether more at a time are faster")
    best = max(steps, key=lambda size: size / steps[size])
    if measured and best * single / steps[best] >= WORTH:
        single = min(single, pace(step, clock, BRIEF))
    if notes and measured:
        notes.write(single, measured)
    gains = {size: size * single / steps[size] for size in sorted(steps)}
    return Choice(best if gains[best] >= WORTH else 1, gains)


def sizes(most: int) -> list[int]:
    """Those that are tried for so many trials."""
    below = [size for size in SIZES if size < most]
    return [*below, min(most, SIZES[-1])] if most <= SIZES[-1] else below


def shares(count: int, size: int) -> list[int]:
    """So many trials in groups of about the same size, none larger than that."""
    groups = -(-count // size)
    return [count // groups + (place < count % groups) for place in range(groups)]


def pace(step: Step, clock: Callable[[], float], most: float) -> float:
    """Seconds a step, the median of as many as fit into `most` seconds."""
    taken: list[float] = []
    while len(taken) < WARM + STEPS:
        began = clock()
        step()
        taken.append(clock() - began)
        if sum(taken) > most and len(taken) >= FEWEST:
            break
    counted = taken[WARM:] if len(taken) > WARM else taken[1:]
    return statistics.median(counted)


def fit(parts: Parts) -> None:
    """ConfigError for a model or batch that cannot be fused, whatever its recipe promises."""
    model, batch = parts.model, next(parts.feed.pieces(0)).batch
    tensors(batch)
    kinds = {parameter.dtype for parameter in learnt(model).values()}
    if len(kinds) != 1:
        raise ConfigError(f"its parameters have {len(kinds)} types", _HINT)
    held = {name: buffer.clone() for name, buffer in model.named_buffers()}
    before = _drawn(parts.world.device)
    loop.loss(parts, model, batch)
    if not torch.equal(before, _drawn(parts.world.device)):
        raise ConfigError("something is drawn while training, as dropout does", _HINT)
    changed = [n for n, b in model.named_buffers() if not torch.equal(b, held[n])]
    if changed:
        raise ConfigError(f"buffer {changed[0]} changes while training", _HINT)


def same(one: Sequence[float], other: Sequence[float], precise: bool) -> bool:
    """Two loss curves agree, as far as rounding lets them."""
    near = 1e-9 if precise else 1e-3
    pairs = zip(one, other, strict=False)
    return all(abs(a - b) <= near * max(abs(a), 1e-3) for a, b in pairs)


_HINT = "fusible = False in the recipe"


def _drawn(device: torch.device) -> torch.Tensor:
    """Where the generator stands."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
