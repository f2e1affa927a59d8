"""`turnaround sweep`: many runs out of one question, and the best of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from turnaround import config
from turnaround.cli import arguments, complete, units
from turnaround.cli.attach import Manner, attach, conclude
from turnaround.cli.planning import check
from turnaround.cli.sift import begun, changed, later, outlook
from turnaround.cli.spans import Spans
from turnaround.cli.steer import PoolSteer, settle
from turnaround.config.check import Misfit
from turnaround.errors import ConfigError, JournalError
from turnaround.journal import Journal, Run, home
from turnaround.launch.pool import Pool
from turnaround.sweep import question as questions
from turnaround.sweep import start
from turnaround.sweep.entry import enter
from turnaround.sweep.prior import learnt
from turnaround.sweep.question import Mark, Question
from turnaround.sweep.rungs import ladder
from turnaround.sweep.window import window


@dataclass(frozen=True)
class Bounds:
    """When it begins and how long it may take, as typed."""

    at: str | None
    last: str | None
    by: str | None
    budget: str | None

    def __bool__(self) -> bool:
        return any(word is not None for word in (self.at, self.last, self.by, self.budget))

    @property
    def ends(self) -> bool:
        """It does not go on until everything has been tried."""
        return any(word is not None for word in (self.last, self.by, self.budget))

    def of(self, question: Question) -> Question:
        """The question, within them."""
        found = window(self.last, self.by, self.budget, time.time(), self.at)
        return replace(question, window=found)


def sweep(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE,VALUE",
            help="What to try: as for run, with several values; sweep=random, tpe, asha …",
            autocompletion=complete.overrides,
            show_default=False,
        ),
    ] = None,
    name: arguments.Name = None,
    tag: arguments.TagWords = None,
    at: Annotated[str | None, typer.Option(metavar="22:00", help="It begins then.")] = None,
    last: Annotated[
        str | None, typer.Option("--for", metavar="8h", help="It ends after so long.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="07:00", help="It ends by then.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="40dev-hours", help="It spends no more than that.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="SWEEP", help="Go on with one that ended early.")
    ] = None,
    add: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --resume: try N more.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="With --resume: run again what failed.")
    ] = False,
    code: Annotated[
        str | None,
        typer.Option(metavar="old|new", help="With --resume: whose code, where it has changed."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start it and return.")] = False,
    as_json: arguments.JsonAtTheEnd = False,
) -> int:
    """Try many settings, and keep the best.

    Trials are ordinary runs: what was answered before is not run again. The sweep goes on when the
    terminal is closed; Ctrl-C offers to detach or to stop it.

    \b
    turnaround sweep recipe=seq2seq optim.lr=1e-3,3e-3,1e-2 recipe.width=64,128
    turnaround sweep recipe=seq2seq 'optim.lr=tag(log,interval(1e-4,1e-1))' sweep=tpe
    turnaround sweep recipe=seq2seq 'recipe.width=range(64,257,64)' sweep.seeds=3
    turnaround sweep recipe=lm 'optim.lr=interval(1e-4,1e-2)' sweep=asha --at 22:00 --by 07:00
    turnaround sweep --resume sweep-x7k2m --add 10
    """
    bounds = Bounds(at, last, by, budget)
    if resume is not None:
        if overrides or name or tag:
            raise ConfigError("--resume goes on with what was asked", "leave the other words out")
        return _resume(
            resume, bounds, Again(add, failed, code), Manner(as_json, fresh=False), detach
        )
    if add or failed or code:
        raise ConfigError(
            "--add, --failed and --code belong to --resume", "--resume SWEEP --add 10"
        )
    spans = Spans(overrides or ())
    with spans("plan"):
        question = _checked(overrides or [], name, arguments.parse_tags(tag), bounds)
    journal = Journal(home())
    for line in outlook(question, journal):
        typer.echo(line, err=as_json)
    manner = Manner(as_json, fresh=True)
    if question.window.begin is None:
        with spans("pool"):
            PoolSteer(Pool(journal.root)).start(lambda text: typer.echo(text, err=as_json))
        with spans("plan"):
            _look(question)
    return _attend(journal, enter(question, journal, spans.told()), manner, detach)


def _checked(words: list[str], name: str | None, tags: dict[str, str], bounds: Bounds) -> Question:
    try:
        return _asked(words, name, tags, bounds)
    except Misfit as error:
        raise ConfigError(error.message, error.hint) from None


def _asked(words: list[str], name: str | None, tags: dict[str, str], bounds: Bounds) -> Question:
    project = config.project_root(Path.cwd())
    settings, rest = questions.settings(words, project)
    if bounds and settings.fuse:
        hint = "sweep.fuse=false, or no --for, --by and --budget"
        raise ConfigError("how long trials take that are trained as one is not foreseen", hint)
    if bounds.ends and settings.name == "grid":
        hint = "sweep=random, sweep=tpe or sweep=asha do what fits"
        raise ConfigError("sweep=grid tries everything, however long it takes", hint)
    asked = learnt(questions.ask(rest, settings, project, home()), Journal(home()))
    stem = asked.stems[0].config
    arguments.check(name or stem.name, {**stem.tags, **tags})
    asked = bounds.of(replace(asked, words=words, name=name or stem.name, tags=tags))
    ladder(asked)  # refuses rungs that cannot be
    return asked


def _look(question: Question) -> None:
    """Refuse before the first trial what would fail in all of them."""
    some = questions.first(question)
    made = questions.planned(question, some, Mark("sweep", 0))
    check(made, questions.stem_of(question, some).config.recipe_file)


def _attend(journal: Journal, run: Run, manner: Manner, detach: bool) -> int:
    """It is driven; watch it, unless it is left to itself."""
    start.ensure(journal, run.id)
    begin = questions.read(journal.folder(run.id)).window.begin
    if begin is not None and begin > time.time():
        typer.echo(later(journal, run.id, begin), err=manner.as_json)
        return 0
    if detach:
        typer.echo(f"{run.id} goes on: turnaround watch {run.id}", err=manner.as_json)
        return 0
    return attach(journal, journal.run(run.id), manner)


# ── going on ──


@dataclass(frozen=True)
class Again:
    """What `--resume` is to do besides going on."""

    add: int | None
    failed: bool
    code: str | None


def _resume(asked: str, bounds: Bounds, again: Again, manner: Manner, detach: bool) -> int:
    journal = Journal(home())
    run = settle(journal, arguments.found(journal, asked))
    if not start.is_sweep(journal, run):
        raise JournalError(f"{run.id} is a run and no sweep", f"turnaround resume {run.id}")
    if not start.settled(journal, run.id):
        if again.add or again.failed or bounds:
            raise JournalError(f"{run.id} is under way", f"turnaround stop {run.id} first")
        return _attend(journal, run, manner, detach)
    question = questions.read(journal.folder(run.id))
    question = changed(question, journal, again.code)
    if bounds or question.window or question.window.begin:
        question = bounds.of(question)
    if begun(journal, run, question, again.add, again.failed):
        questions.save(question, journal.folder(run.id))
        with_pool = PoolSteer(Pool(journal.root))
        with_pool.start(lambda text: typer.echo(text, err=manner.as_json))
        return _attend(journal, run, manner, detach)
    ended = units.ago(time.time() - (run.ended or run.submitted))
    typer.echo(f"{run.id} has finished {ended}: --add N tries more", err=manner.as_json)
    conclude(journal, run, None, manner.as_json)
    return 0
