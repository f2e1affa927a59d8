"""Before a sweep begins or goes on: what it comes to, whose code it runs, what is left to do."""

from __future__ import annotations

import hashlib
import math
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import typer

from turnaround import config
from turnaround.cli import units
from turnaround.errors import ConfigError, PlanError
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.snapshot.reach import reached
from turnaround.spec import Status
from turnaround.sweep import question as questions
from turnaround.sweep import start
from turnaround.sweep.drive import slots
from turnaround.sweep.question import Question, Stem
from turnaround.sweep.rehearse import Stage, even, unguided
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State, Trial
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


# ── going on ──


def begun(journal: Journal, run: Run, question: Question, add: int | None, failed: bool) -> bool:
    """Write down what is added; whether anything is left to do."""
    state = State(question.rises)
    for event in journal.events(run.id):
        state.add(event)
    if add and len(state.trials) + add > question.size:
        message = f"--add {add}, but all {question.size:,.0f} settings"
        left = question.size - len(state.trials)
        if left < 1:
            raise ConfigError(f"{message} were tried", "ask for a larger space")
        raise ConfigError(f"{message} but {left:,.0f} were tried", f"--add {left:,.0f}")
    lost = [trial for trial in state.trials.values() if trial.failed]
    if failed and not lost:
        raise ConfigError(
            f"--failed, but no trial of {run.id} has failed", "turnaround report says"
        )
    for trial in lost if failed else ():
        _again(journal, run, trial)
    if add:
        start.add(journal, run.id, "more", trials=add)
    done = len(state.trials) >= question.trials + state.more and not state.open()
    return bool(add or failed or not done or run.status is not Status.SUCCEEDED)


def _again(journal: Journal, run: Run, trial: Trial) -> None:
    """Runs that failed are made anew; the others of the trial keep their answers."""
    runs = [sent.run for sent in trial.sent.values()]
    bad = [one for one in runs if _failed(journal, one)]
    start.add(journal, run.id, "again", number=trial.number, runs=bad)


def _failed(journal: Journal, run: str) -> bool:
    found = journal.runs("id=?", [run])
    return not found or found[0].status is not Status.SUCCEEDED


def changed(question: Question, journal: Journal, code: str | None) -> Question:
    """The question with the code it is to go on with; asks when that of the project has changed."""
    if code not in (None, "old", "new"):
        raise ConfigError(f"--code {code} is neither old nor new", "--code old or --code new")
    differs = sorted({name for stem in question.stems for name in _differing(stem, journal)})
    if not differs or code == "old":
        return question
    if code is None:
        code = _choice(differs)
    if code == "old":
        return question
    project = Path(question.stems[0].facts.place.project)
    own, words = questions.settings(question.words, project)
    fresh = questions.ask(words, own, project, journal.root)
    return replace(question, stems=fresh.stems)


def _choice(differs: list[str]) -> str:
    """Whose code, by the person at the terminal; without one it must be said."""
    what = f"{', '.join(differs)} changed since the sweep began"
    if not sys.stdin.isatty():
        hint = "--code old goes on with the code as it was, --code new takes it as it is now"
        raise ConfigError(what, hint)
    answer = typer.prompt(f"{what}. Go on with the [old] code or the [new]?", default="old")
    if answer not in ("old", "new"):
        raise ConfigError(f"{answer} is neither old nor new", "--code old or --code new")
    return str(answer)


def _differing(stem: Stem, journal: Journal) -> Iterator[str]:
    """Files that a recipe reaches which are not as they were frozen."""
    place = stem.facts.place
    project = Path(place.project)
    tree = journal.root / "snapshots" / str(place.snapshot) / "tree"
    there = config.recipes(project).get(stem.config.recipe.name)
    now = reached(there, project) if there else {}
    before = reached(tree / place.recipe_file, tree)
    for name in now.keys() | before.keys():
        files = now.get(name), before.get(name)
        if len({_digest(file) for file in files}) > 1:
            yield name


def _digest(file: Path | None) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""
