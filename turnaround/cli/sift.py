"""Before a sweep begins or goes on: what it comes to, whose code it runs, what is left to do."""

from __future__ import annotations

import hashlib
import math
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
from turnaround.sweep.rungs import ladder
from turnaround.sweep.state import State, Trial
from turnaround.sweep.window import LEAVE, fits, measured


def outlook(question: Question, journal: Journal) -> Iterator[str]:
    """What it will try and how long that takes; PlanError when nothing can come of it."""
    room = slots(question, Pool(journal.root), ahead=False)
    yield _asked(question, room)
    now = time.time()
    takes = measured(question, journal, now)
    if not question.window:
        if takes and math.isfinite(question.trials) and question.settings.name != "asha":
            each = question.trials * question.settings.seeds / room
            whole = units.interval(each * takes.low, each * takes.high)
            yield f"a run takes {_between(takes)}, all of them {whole}"
        return
    yield _bounds(question, now)
    if takes is None:
        yield "how many trials fit will show when one has run: there is no run like them yet"
        return
    least, most = fits(question, takes, room, now)
    if most < 1:
        message = f"the window is shorter than one trial, which takes {_between(takes)}"
        raise PlanError(message, "a longer window, or a smaller budget")
    enough = f"{least} to {most}" if least < most else f"{most}"
    yield f"a run takes {_between(takes)}: {enough} of them fit, trained to the end"


def _asked(question: Question, room: int) -> str:
    asked = question.settings
    whole = math.isfinite(question.trials)
    count = units.counted(int(question.trials), "trial") if whole else "as many trials as fit"
    words = [f"{asked.name}: {count} of {', '.join(axis.key for axis in question.axes) or 'it'}"]
    words += [f"{asked.seeds} seeds each"] if asked.seeds > 1 else []
    words += [f"{room} at a time"]
    if asked.name == "asha":
        steps = ", ".join(str(step) for step in ladder(question) if step)
        words += [f"paused after {steps} steps, where one in {asked.eta} goes on"]
    way = "highest" if question.rises else "lowest"
    return f"{'; '.join(words)}. The {way} valid/{question.score} wins"


def _bounds(question: Question, now: float) -> str:
    window, words = question.window, []
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
