"""Before a sweep begins or goes on: what it comes to, whose code it runs, what is left to do."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator

import typer

from turnaround.cli.views import units
from turnaround.errors import PlanError
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.launch.pool import Pool
from turnaround.sweep.drive import slots
from turnaround.sweep.pack import packed
from turnaround.sweep.question import Question
from turnaround.sweep.rehearse import Stage, even, unguided
from turnaround.sweep.rungs import ladder
from turnaround.sweep.window import LEAVE, fits, measured

MOST = 300  # trials of a night that is rehearsed: a millisecond each


def outlook(question: Question, journal: Journal) -> Iterator[str]:
    """What it will try and how long that takes; PlanError when nothing can come of it."""
    room = slots(question, Pool(journal.root), ahead=False)
    yield _asked(question, room)
    begin = question.window.begin or time.time()
    if question.window or question.window.begin:
        yield _bounds(question, begin)
    takes = measured(question, journal, begin)
    if takes is None:
        if question.window:
            yield "how many trials fit will show when one has run: there is no run like them yet"
        return
    if question.window and fits(question, takes, room, begin)[1] < 1:
        message = f"the window is shorter than one trial, which takes {_between(takes)}"
        raise PlanError(message, "a longer window, or a smaller budget")
    yield f"a run takes {_between(takes)}: {_rehearsed(question, takes, room, begin)}"


def _rehearsed(question: Question, takes: Interval, room: int, begin: float) -> str:
    """What the rules that the sweep will follow come to, with runs that are slow and fast."""
    least, most = fits(question, takes, room, begin)
    if most > MOST:
        return f"{_range(least, most)} of them fit, trained to the end"
    lines = max(1, room // question.settings.seeds)
    waves = math.ceil(question.settings.seeds / room)
    stages = [
        Stage(unguided(question), lines, even(question, each * waves), begin)
        for each in (takes.high, takes.low)
    ]
    slow, fast = (stage.play() for stage in stages)
    steps = stages[0].steps
    pairs = zip(slow.reached(len(steps)), fast.reached(len(steps)), steps, strict=True)
    told = [
        f"{_range(*sorted((few, many)))} {f'to step {step}' if step else 'to the end'}"
        for few, many, step in pairs
    ]
    words = [", ".join(told)]
    ends = sorted({round(night.ended - begin) for night in (slow, fast)})
    if not question.window.end or ends[0] < question.window.end - begin - 60:
        words.append(f"over in {units.interval(ends[0], ends[-1])}")
    return "trials trained " + "; ".join(words)


def _range(least: int, most: int) -> str:
    return f"{least} to {most}" if least < most else f"{most}"


def later(journal: Journal, sweep: str, begin: float) -> str:
    """When it begins, and what it takes to survive."""
    then = time.strftime("%a %H:%M", time.localtime(begin))
    home = shlex.quote(str(journal.root))
    words = [sys.executable, "-P", "-m", "turnaround.sweep.process", "--home", home, "--due"]
    return (
        f"{sweep} begins by itself on {then}, also when you log out. After a reboot the next\n"
        f"turnaround command brings it back, or at once this line in `crontab -e`:\n"
        f"@reboot {' '.join(words)}"
    )


def _asked(question: Question, room: int) -> str:
    asked = question.settings
    whole = math.isfinite(question.trials)
    count = units.counted(int(question.trials), "trial") if whole else "as many trials as fit"
    words = [f"{asked.name}: {count} of {', '.join(axis.key for axis in question.axes) or 'it'}"]
    words += [f"{asked.seeds} seeds each"] if asked.seeds > 1 else []
    words += [f"{room} at a time"]
    steps = ", ".join(str(step) for step in ladder(question) if step)
    if steps and asked.name == "pbt":
        words += [f"after {steps} steps a quarter makes way for copies of the best"]
    elif steps:
        words += [f"paused after {steps} steps, where one in {asked.eta} goes on"]
    way = "highest" if question.rises else "lowest"
    return f"{'; '.join(words)}. The {way} valid/{question.score} wins"


def _bounds(question: Question, now: float) -> str:
    """The window, as it was understood."""
    window, words = question.window, []
    if window.begin:
        words.append(f"it begins on {time.strftime('%a %H:%M', time.localtime(window.begin))}")
    if window.end:
        if window.end - now <= 2 * LEAVE:
            raise PlanError("the window is over as soon as it begins", "a longer one: --for 10m")
        then = time.strftime("%a %H:%M", time.localtime(window.end))
        words.append(f"it ends by {then}, in {units.duration(window.end - now)}")
    if window.device_seconds:
        words.append(f"it spends at most {units.duration(window.device_seconds)} of devices")
    return "; ".join(words)


def _between(takes: Interval) -> str:
    return units.interval(takes.low, takes.high)


def shared(question: Question, journal: Journal, as_json: bool) -> Question:
    """Its trials share devices, where that pays."""
    typer.echo("measuring how many trials a device is best shared by", err=as_json)
    found, line = packed(question, journal.root)
    typer.echo(line, err=as_json)
    return found
