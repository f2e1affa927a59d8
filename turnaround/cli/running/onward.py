"""A sweep goes on: with what is left of it, with more, or with what failed; and is watched."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from turnaround import config
from turnaround.cli.running.attach import Manner, conclude, leave
from turnaround.cli.running.attach import attach as follow
from turnaround.cli.running.sift import later, shared
from turnaround.cli.running.steer import PoolSteer, settle
from turnaround.cli.views import units
from turnaround.cli.words import arguments
from turnaround.cli.words.bounds import Bounds
from turnaround.errors import ConfigError, JournalError
from turnaround.journal import Journal, Run, home
from turnaround.launch.pool import Pool
from turnaround.snapshot.reach import reached
from turnaround.spec import Status
from turnaround.sweep import question as questions
from turnaround.sweep import start
from turnaround.sweep.ask import ask, settings
from turnaround.sweep.question import Question, Stem, Window
from turnaround.sweep.state import State, Trial

CUT = (75, 3)  # exit codes: it was stopped or killed, its driver failed


def attend(
    journal: Journal, run: Run, manner: Manner, detach: bool, ahead: start.Ahead | None = None
) -> int:
    """It is driven; watch it, unless it is left to itself."""
    start.ensure(journal, run.id, ahead)
    begin = questions.read(journal.folder(run.id)).window.begin
    if begin is not None and begin > time.time():
        return leave(journal, run, later(journal, run.id, begin), manner.as_json)
    if detach:
        words = f"{run.id} goes on: turnaround watch {run.id}"
        return leave(journal, journal.run(run.id), words, manner.as_json)
    return follow(journal, journal.run(run.id), manner)


@dataclass(frozen=True)
class Again:
    """What `--resume` is to do besides going on."""

    add: int | None
    failed: bool
    code: str | None


def resumed(asked: str, bounds: Bounds, again: Again, manner: Manner, detach: bool) -> int:
    """The sweep goes on, or has nothing left to do."""
    journal = Journal(home())
    run = settle(journal, arguments.found(journal, asked))
    if not start.is_sweep(journal, run):
        raise JournalError(f"{run.id} is a run and no sweep", f"turnaround resume {run.id}")
    if not start.settled(journal, run.id):
        if again.add or again.failed or bounds:
            raise JournalError(f"{run.id} is under way", f"turnaround stop {run.id} first")
        return attend(journal, run, manner, detach)
    before = questions.read(journal.folder(run.id))
    question = _changed(before, journal, again.code)
    if question.settings.pack and question is not before:
        question = shared(question, journal, manner.as_json)
    state = _told(journal, run, question)
    question = _counted(_bounded(question, bounds, run), question, state, again.add)
    if _begun(journal, run, question, state, again):
        questions.save(question, journal.folder(run.id))
        with_pool = PoolSteer(Pool(journal.root))
        with_pool.start(lambda text: typer.echo(text, err=manner.as_json))
        return attend(journal, run, manner, detach)
    ended = units.ago(time.time() - (run.ended or run.submitted))
    typer.echo(f"{run.id} has finished {ended}: --add N tries more", err=manner.as_json)
    conclude(journal, run, None, manner.as_json)
    return 0


def _told(journal: Journal, run: Run, question: Question) -> State:
    """How far it is."""
    state = State(question.rises)
    for event in journal.events(run.id):
        state.add(event)
    return state


def _bounded(question: Question, bounds: Bounds, run: Run) -> Question:
    """Within the new bounds and, where it was cut short, what is left of the old ones."""
    new = bounds.of(question).window
    left = question.window if run.exit_code in CUT else Window()
    end = left.end if left.end and left.end > (new.begin or time.time()) else None
    window = Window(new.end or end, new.device_seconds or left.device_seconds, new.begin)
    return replace(question, window=window)


def _counted(question: Question, before: Question, state: State, add: int | None) -> Question:
    """Where only its window said how many trials there are, it is those that there are, once that
    has gone or some are added."""
    if not before.endless or (question.endless and not add):
        return question
    trials = max(1, len(state.trials) - state.more)
    return replace(question, settings=replace(question.settings, trials=trials))


def _begun(journal: Journal, run: Run, question: Question, state: State, again: Again) -> bool:
    """Write down what is added; whether anything is left to do."""
    add, failed = again.add, again.failed
    if add and question.settings.name == "pbt":
        message = (
            f"--add {add}, but {run.id} is a population, which is bred together from its start"
        )
        raise ConfigError(message, "a larger one is a sweep of its own: sweep.trials=N")
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


def _changed(question: Question, journal: Journal, code: str | None) -> Question:
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
    own, words = settings(question.words, project)
    fresh = ask(words, own, project, journal.root, question.points)
    return replace(question, stems=fresh.stems)


def _choice(differs: list[str]) -> str:
    """Whose code, by the person at the terminal; without one it must be said."""
    what = f"{', '.join(differs)} changed since the sweep began"
    if not sys.stdin.isatty():
        hint = "--code old goes on with the code as it was, --code new takes it as it is now"
        raise ConfigError(what, hint)
    question = f"{what}. Go on with the [old] code or the [new]? [old]: "
    print(question, end="", file=sys.stderr, flush=True)  # standard output may be JSON's
    answer = sys.stdin.readline()
    if not answer:
        raise typer.Abort
    if (choice := answer.strip() or "old") not in ("old", "new"):
        raise ConfigError(f"{choice} is neither old nor new", "--code old or --code new")
    return choice


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
