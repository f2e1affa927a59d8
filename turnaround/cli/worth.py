"""`turnaround plan --target …`: what an experiment would take on so many devices, and which pays.

Everything here is read from runs of the same question that the journal has; nothing is started.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from turnaround.cli import table, units
from turnaround.errors import ConfigError, PlanError
from turnaround.forecast import front, past, throughput
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.spec import Inventory, Plan, Status

NEWEST = 32  # runs of the recipe that are looked at: 5 to 50 ms each
LARGEST = 64  # times the batch that was run: further off the law was not seen to hold
UNSURE = 0.5  # relative half-width of the noise scale's interval that is said aloud
BAR = 24  # characters of the longest


@dataclass(frozen=True)
class Wish:
    """What the options of `plan` ask for."""

    target: str | None = None  # bleu=30
    devices: int | None = None  # at most
    by: str | None = None  # 07:00, or 2h
    cost: float | None = None  # device-hours


def lines(plan: Plan, journal: Journal, have: Inventory, wish: Wish) -> Iterator[str]:
    """What is known, what devices and batches would come to, and the words of the best."""
    told = list(_told(plan, journal))
    known, basis = _known(plan, told, wish)
    steps = [one.step for one in told if one.step]
    if not steps:
        raise PlanError("no run of this recipe was timed", _measure(plan))
    law = throughput.fit(steps)
    most = wish.devices or have.count("cuda" if have.gpus else "cpu")
    points = front.front(known, law, _powers(most), _batches(known))
    alone = front.point(known, law, 1, known.batch)
    yield from _basis(known, basis, len(steps), max(step.devices for step in steps), most)
    within = seconds(wish.by, datetime.now()) if wish.by else None
    chosen = front.best(points, within, 3600 * wish.cost if wish.cost is not None else None)
    yield ""
    yield _table(points, chosen)
    yield ""
    yield f"alone       {_span(alone.seconds)} on one device, batch {known.batch}"
    title = "chosen" if chosen else "nearest"  # where none is soon or cheap enough
    one = chosen or points[0 if within is not None else -1]
    sooner = alone.seconds.middle / one.seconds.middle
    yield f"{title:<12}{_span(one.seconds)}, {_price(one)}, {sooner:.1f} × sooner than alone"
    yield f"            turnaround run … {one.words('ddp', 'replicate')}"


def _told(plan: Plan, journal: Journal) -> Iterator[past.Told]:
    """What runs of the same question say, whatever their batch, devices and budget."""
    found = journal.runs("recipe=?", [plan.recipe.name], NEWEST)
    for run in found:
        if run.status is Status.QUEUED:
            continue
        other = journal.plan(run.id)
        if _question(other) == _question(plan):
            yield past.read(other, journal.events(run.id))


def _question(plan: Plan) -> tuple[object, ...]:
    return plan.recipe, plan.place.data, plan.optim.name, plan.precision, plan.cluster.device


def _known(
    plan: Plan, told: Sequence[past.Told], wish: Wish
) -> tuple[front.Known, tuple[past.Told, str]]:
    """A batch, the steps to the target with it, and the noise scale."""
    measured = [one for one in told if one.scale]
    if not measured:
        raise PlanError("no run of this recipe has told its gradient noise scale", _measure(plan))
    scale = measured[0].scale
    assert scale is not None
    if wish.target is None:
        steps, basis = plan.budget.steps, measured[0]
        if steps is None:
            raise PlanError("without budget.steps there is nothing to reach", "--target bleu=30")
        what, batch = f"{steps:,} steps of {plan.data.batch}", plan.data.batch
        lr = plan.optim.lr
    else:
        score, target = parse(wish.target)
        up = score != "loss"
        reached = [(one.reached(score, target, up), one) for one in told]
        there = [(count, one) for count, one in reached if count]
        if not there:
            raise _unseen(score, target, up, told)
        count, basis = min(there, key=lambda pair: pair[0] * pair[1].plan.data.batch)
        steps, batch, lr = math.ceil(count), basis.plan.data.batch, basis.plan.optim.lr
        what = f"{score} {target:g} after {steps:,} steps of {batch}"
    return front.Known(batch, steps, scale, lr, plan.optim.name), (basis, what)


def _unseen(score: str, target: float, up: bool, told: Sequence[past.Told]) -> PlanError:
    best = [value for one in told if (value := one.best(score, up)) is not None]
    if not best:
        names = sorted({name for one in told for _, values in one.valid for name in values})
        return PlanError(f"no run reported {score}", f"known: {', '.join(names) or 'no score'}")
    found = (max if up else min)(best)
    hint = "run longer first, or ask for less: steps beyond what was seen cannot be told"
    return PlanError(f"{score}={target:g} was never seen: the best is {found:.4g}", hint)


def _measure(plan: Plan) -> str:
    return (
        f"turnaround run recipe={plan.recipe.name} budget.steps=1000 update.accumulate=2 --again"
        " measures both, as long a run as it takes to tell the gradient from its noise (and not"
        " with optim=lbfgs); another batch size and layout=ddp make the times surer"
    )


def parse(text: str) -> tuple[str, float]:
    """`bleu=30` → ("bleu", 30.0)."""
    score, _, value = text.partition("=")
    try:
        return score, float(value)
    except ValueError:
        raise ConfigError(f"--target {text} is no target", "--target bleu=30") from None


def seconds(text: str, now: datetime) -> float:
    """From now to `07:00`, the next one there is, or of `2h`, `90m`."""
    if clock := re.fullmatch(r"(\d{1,2}):(\d\d)", text):
        at = now.replace(hour=int(clock[1]) % 24, minute=int(clock[2]) % 60, second=0)
        return (at - now if at > now else at + timedelta(days=1) - now).total_seconds()
    if span := re.fullmatch(r"(\d+(?:\.\d+)?)([dhms])", text):
        return float(span[1]) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[span[2]]
    raise ConfigError(f"--by {text} is no time", "--by 07:00, or --by 2h")


def _powers(most: int) -> list[int]:
    """1, 2, 4, … and the most there is."""
    return sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})


def _batches(known: front.Known) -> list[int]:
    """Half to many times the batch that was run, each twice the one before."""
    least = max(1, known.batch // 2)
    return [least * 2**i for i in range(int(math.log2(2 * LARGEST)) + 1)]


def _basis(
    known: front.Known, basis: tuple[past.Told, str], timed: int, seen: int, most: int
) -> Iterator[str]:
    scale = known.scale
    runs = f"{timed} timed run{'s' * (timed != 1)}, of up to {_devices(seen)}"
    yield f"known       {basis[1]}; {runs}"
    span = f"{units.number(scale.low)}–{units.number(scale.high)}"
    yield f"noise       scale {units.number(scale.middle)} examples ({span})"
    if scale.high - scale.low > 2 * UNSURE * scale.middle:
        yield "            that is uncertain: a longer run with update.accumulate=2 makes it surer"
    least = f"1/{known.ceiling:.1f} of the steps of {known.batch}"
    yield f"ceiling     no batch needs fewer than {least}"
    if most > seen:
        yield f"            more than {_devices(seen)} were never timed: their times are a guess"


def _table(points: Sequence[front.Point], chosen: front.Point | None) -> str:
    longest = max(point.seconds.middle for point in points)
    columns = ("", "devices", "batch", "steps", "lr", "time", "device-time", "")
    rows = [
        (
            "→" if point == chosen else "",
            str(point.devices),
            f"{point.batch:,}" + (f" (÷{point.accumulate})" if point.accumulate > 1 else ""),
            f"{point.steps:,.0f}",
            f"{point.lr:.3g}",
            _span(point.seconds),
            units.duration(point.device_seconds),
            "▇" * max(1, round(BAR * point.seconds.middle / longest)),
        )
        for point in points
    ]
    return table.table(columns, rows)


def _devices(count: int) -> str:
    return f"{count} device{'s' * (count != 1)}"


def _span(time: Interval) -> str:
    return f"{units.duration(time.middle)} ({units.interval(time.low, time.high)})"


def _price(point: front.Point) -> str:
    return f"{point.device_seconds / 3600:.2g} device-hours"
