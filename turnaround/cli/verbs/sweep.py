"""`turnaround sweep`: many runs out of one question, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from turnaround import config
from turnaround.cli.running.attach import Manner
from turnaround.cli.running.onward import Again, attend, resumed
from turnaround.cli.running.sift import outlook, shared
from turnaround.cli.running.steer import PoolSteer
from turnaround.cli.spans import Spans
from turnaround.cli.words import arguments, completion
from turnaround.cli.words.bounds import At, Bounds, Budget, By, For
from turnaround.cli.words.planning import check
from turnaround.config.check import Misfit
from turnaround.errors import ConfigError
from turnaround.journal import Journal, Run, home
from turnaround.launch.pool import Pool
from turnaround.sweep.ask import ask, settings
from turnaround.sweep.entry import enter
from turnaround.sweep.points import read
from turnaround.sweep.prior import learnt
from turnaround.sweep.question import Mark, Question, first, planned, stem_of
from turnaround.sweep.rungs import ladder
from turnaround.sweep.start import Ahead


def sweep(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE,VALUE",
            help="What to try: as for run, with several values; sweep=random, tpe, asha …",
            autocompletion=completion.overrides,
            show_default=False,
        ),
    ] = None,
    name: arguments.Name = None,
    tag: arguments.TagWords = None,
    points: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Try these: a line each, the header names settings."),
    ] = None,
    at: At = None,
    last: For = None,
    by: By = None,
    budget: Budget = None,
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
    turnaround sweep recipe=seq2seq --points points.csv sweep.seeds=3
    turnaround sweep --resume sweep-x7k2m --add 10
    """
    bounds = Bounds(at, last, by, budget)
    if resume is not None:
        if overrides or name or tag or points:
            raise ConfigError("--resume goes on with what was asked", "leave the other words out")
        again, manner = Again(add, failed, code), Manner(as_json, fresh=False)
        return resumed(resume, bounds, again, manner, detach)
    if add or failed or code:
        message = "--add, --failed and --code belong to --resume"
        raise ConfigError(message, "--resume SWEEP --add 10")
    spans = Spans(overrides or ())
    with Ahead(home()) as ahead:
        with spans("plan"):
            asked = Asked(overrides or [], points, name, arguments.parse_tags(tag))
            question = _checked(asked, bounds)
        run = _entered(question, as_json, spans)
        return attend(Journal(home()), run, Manner(as_json, fresh=True), detach, ahead)


@dataclass(frozen=True)
class Asked:
    """What a new sweep is asked, as typed."""

    words: list[str]
    points: Path | None
    name: str | None
    tags: dict[str, str]


def _entered(question: Question, as_json: bool, spans: Spans) -> Run:
    """Said, looked at and written down."""
    journal = Journal(home())
    if question.settings.pack:
        with spans("plan"):
            question = shared(question, journal, as_json)
    for line in outlook(question, journal):
        typer.echo(line, err=as_json)
    if question.window.begin is None:
        with spans("pool"):
            PoolSteer(Pool(journal.root)).start(lambda text: typer.echo(text, err=as_json))
        with spans("plan"):
            _look(question)
    return enter(question, journal, spans.told())


def _checked(asked: Asked, bounds: Bounds) -> Question:
    try:
        return _question(asked, bounds)
    except Misfit as error:
        raise ConfigError(error.message, error.hint) from None


def _question(asked: Asked, bounds: Bounds) -> Question:
    project = config.project_root(Path.cwd())
    own, rest = settings(asked.words, project)
    if bounds and own.fuse:
        hint = "sweep.fuse=false, or no --for, --by and --budget"
        raise ConfigError("how long trials take that are trained as one is not foreseen", hint)
    if bounds.ends and own.name == "grid":
        hint = "sweep=random, sweep=tpe or sweep=asha do what fits"
        raise ConfigError("sweep=grid tries everything, however long it takes", hint)
    points = read(asked.points) if asked.points else None
    found = learnt(ask(rest, own, project, home(), points), Journal(home()))
    stem = found.stems[0].config
    name = asked.name or stem.name
    arguments.check(name, {**stem.tags, **asked.tags})
    found = bounds.of(replace(found, words=asked.words, name=name, tags=asked.tags))
    ladder(found)  # refuses rungs that cannot be
    return found


def _look(question: Question) -> None:
    """Refuse before the first trial what would fail in all of them."""
    some = first(question)
    made = planned(question, some, Mark("sweep", 0))
    check(made, stem_of(question, some).config.recipe_file)
