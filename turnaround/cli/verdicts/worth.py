"""`turnaround plan --target …`, `--probe`: a verdict and a probe as lines to read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import typer

from turnaround.cli.verdicts.verdict import UNSURE, Verdict, judged
from turnaround.cli.views import table, units
from turnaround.cli.views.again import line
from turnaround.cli.words.arguments import Sought
from turnaround.forecast import front, throughput
from turnaround.forecast.guess import Interval
from turnaround.forecast.speed import Size, Speeds
from turnaround.journal import Journal
from turnaround.launch import speed
from turnaround.spec import Inventory, Plan

BAR = 24  # characters of the longest


def answer(plan: Plan, journal: Journal, have: Inventory, wish: Sought) -> Iterator[str]:
    """The verdict; or what a probe finds, where nothing else was asked for."""
    if wish.probe and wish == Sought(probe=True, words=wish.words):
        counts = speed.counts(plan, have.count(plan.cluster.device))
        seconds = speed.limit(None)
        yield from speeds(plan, speed.measured(plan, journal.root, counts, seconds, hear))
    else:
        yield from lines(judged(plan, journal, have, wish, hear))


def lines(verdict: Verdict) -> Iterator[str]:
    """What is known, what devices and batches would come to, and the words of the best."""
    yield from _basis(verdict)
    yield from _noise(verdict)
    yield ""
    yield _table(verdict.points, verdict.chosen)
    yield ""
    alone = verdict.alone
    yield f"alone       {_span(alone.seconds)} on one device, batch {verdict.known.batch}"
    yield from choice(verdict)


def choice(verdict: Verdict) -> Iterator[str]:
    """The point that was chosen, or that comes nearest, and the line that runs it."""
    one = verdict.nearest
    title = "chosen" if verdict.chosen else "nearest"  # where none is soon or cheap enough
    sooner = verdict.alone.seconds.middle / one.seconds.middle
    yield f"{title:<12}{_span(one.seconds)}, {_price(one)}, {sooner:.1f} × sooner than alone"
    yield f"            {line(verdict.wish.words, verdict.changes(one))}"


def _basis(verdict: Verdict) -> Iterator[str]:
    timed, probed = len(verdict.steps), len(verdict.speeds.sizes)
    sizes = [step.devices for step in [*verdict.steps, *verdict.speeds.steps]]
    runs = f"{timed} timed run{'s' * (timed != 1)}"
    probes = f" and a probe of {probed} sizes" if probed else ""
    yield f"known       {verdict.what}; {runs}{probes}, of up to {_devices(max(sizes))}"
    if verdict.speeds.most:
        yield f"            {verdict.speeds.most:,} examples of a micro-batch fit a device"
    if verdict.devices > max(sizes):
        yield f"            more than {_devices(max(sizes))} were never timed: a guess"
    for note in verdict.notes:
        yield f"            {note}"


def _noise(verdict: Verdict) -> Iterator[str]:
    known, heard = verdict.known, verdict.heard
    if heard is None:
        why, hint = verdict.deaf
        yield f"noise       {why}: no batch but {known.batch} can be looked at"
        yield f"            {hint}"
        return
    scale = known.scale
    span = f"{units.number(scale.low)}–{units.number(scale.high)}"
    yield f"noise       scale {units.number(scale.middle)} examples ({span})"
    wide = (scale.high - scale.low) / 2 / scale.middle
    if wide > UNSURE and heard.measured:
        more = math.ceil(heard.measured * ((wide / UNSURE) ** 2 - 1))
        yield f"            that is uncertain: {more:,} more steps like its {heard.measured:,} tell"
    for doubt in heard.doubts:
        yield f"            {doubt}"
    least = f"1/{known.ceiling:.1f} of the steps of {known.batch}"
    yield f"ceiling     no batch needs fewer than {least}"


def _table(points: Sequence[front.Point], chosen: front.Point | None) -> str:
    longest = max(point.seconds.middle for point in points)
    columns = ("", "devices", "batch", "steps", "lr", "time", "device-time", "")
    rows = [
        (
            "→" if point == chosen else "",
            str(point.devices),
            f"{point.batch:,}" + (f" (÷{point.accumulate})" if point.accumulate > 1 else ""),
            f"{math.ceil(point.steps):,}",
            f"{point.lr:.3g}",
            _span(point.seconds),
            units.duration(point.device_seconds),
            "▇" * max(1, round(BAR * point.seconds.middle / longest)),
        )
        for point in points
    ]
    return table.table(columns, rows)


# ── a probe ──


def hear(size: Size) -> None:
    """How far a probe is, out of the way of what it comes to."""
    each = f"{1000 * size.seconds:.3g} ms a step"
    typer.echo(f"probing     {_devices(size.devices)}, batch {size.batch:,}: {each}", err=True)


def speeds(plan: Plan, found: Speeds) -> Iterator[str]:
    """What a probe found, and what the plan's own steps would take by it."""
    columns = ("devices", "batch", "a step", "examples/s", "memory")
    rows = [
        (
            str(size.devices),
            f"{size.batch:,}",
            f"{1000 * size.seconds:.3g} ms",
            units.number(size.batch / size.seconds),
            units.size(size.memory),
        )
        for size in found.sizes
    ]
    yield table.table(columns, rows)
    yield ""
    if found.most:
        yield f"fits        {found.most:,} examples of a micro-batch on a device, not twice as many"
    steps, batch = plan.budget.steps, plan.data.batch
    if steps is None or not plan.data.constant:
        return
    law = throughput.fit(found.steps)
    for count in sorted({size.devices for size in found.sizes}):
        takes = units.duration(steps * law.seconds(count, 1, batch / count))
        yield f"takes       {takes} for {steps:,} steps of {batch:,} on {_devices(count)}"


def _devices(count: int) -> str:
    return f"{count} device{'s' * (count != 1)}"


def _span(time: Interval) -> str:
    return f"{units.duration(time.middle)} ({units.interval(time.low, time.high)})"


def _price(point: front.Point) -> str:
    return f"{point.device_seconds / 3600:.2g} device-hours"
