"""The words that several verbs take, and what is refused in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from turnaround.errors import ConfigError, JournalError
from turnaround.journal import Journal, Run, home

LONGEST = 200  # characters of a name: it becomes a column, a tag and a page's title


def complete_runs(incomplete: str) -> list[tuple[str, str]]:
    """Runs whose id begins so, for the shell."""
    known = Journal(home()).runs(limit=200)
    return [
        (run.id, f"{run.status} {run.name or ''}") for run in known if run.id.startswith(incomplete)
    ]


def found(journal: Journal, asked: str, sole: bool = False) -> Run:
    """The run that was asked for: by its id, by how only its id begins, or the newest of that name.

    Where others are of that name too it is said which one was taken; with `sole` they are asked
    for by their ids: what is done cannot be undone.
    """
    run = journal.find(asked)
    others = [other.id for other in journal.runs("name=?", [asked]) if other.id != run.id]
    if run.id == asked or not others:
        return run
    if sole:
        ids = ", ".join([run.id, *others])
        raise JournalError(f"{len(others) + 1} runs answer to {asked}: {ids}", "give an id")
    how = "is the newest run called" if run.name == asked else "begins with"
    more = f"{others[0]} is" if len(others) == 1 else f"{len(others)} others are"
    typer.echo(f"{run.id} {how} {asked}; {more} called so{' too' * (run.name == asked)}", err=True)
    return run


def complete_words(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Words that may follow in `run` and `plan`, for the shell."""
    from turnaround.cli.words.completion import overrides

    return overrides(ctx, incomplete)


Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[GROUP=OPTION | KEY=VALUE]...",
        help="As for `turnaround run`.",
        autocompletion=complete_words,
        show_default=False,
    ),
]
_ASKED = typer.Argument(
    metavar="RUN",
    help="A run's id, the beginning of it, or its name.",
    autocompletion=complete_runs,
    show_default=False,
)
OneRun = Annotated[str, _ASKED]
SomeRuns = Annotated[list[str], _ASKED]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
JsonAtTheEnd = Annotated[
    bool, typer.Option("--json", help="One line of JSON at the end; progress on standard error.")
]
Name = Annotated[str | None, typer.Option(help="A name to find it by.", metavar="NAME")]
TagWords = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; may be given again.")
]
Target = Annotated[
    str | None,
    typer.Option(help="What it would take to get there, by runs before.", metavar="SCORE=VALUE"),
]
Devices = Annotated[int | None, typer.Option(help="At most so many.", min=1)]
By = Annotated[str | None, typer.Option(help="At the latest: 07:00, or 2h from now.")]
Cost = Annotated[float | None, typer.Option(help="At most so many device-hours.", min=0.0)]
Probe = Annotated[
    bool | None,
    typer.Option(
        "--probe/--no-probe",
        help="Time a few steps of it first; unasked where a long run's are not known.",
    ),
]


@dataclass(frozen=True)
class Sought:
    """What `plan` and `run --auto` are to choose by."""

    target: str | None = None  # bleu=30
    devices: int | None = None  # at most
    by: str | None = None  # 07:00, or 2h
    cost: float | None = None  # device-hours
    probe: bool | None = None  # none: where it is wanting
    words: Sequence[str] = ()  # of the question, as typed


def check(name: str | None, tags: dict[str, str]) -> None:
    """Refuse a name or tags that would do harm."""
    if name is not None:
        check_name(name)
    check_tags(tags)


def check_name(name: str, what: str = "name") -> None:
    """Refuse what could not be shown on a page, typed in a shell, or used in a path."""
    if wrong := _wrong(name):
        raise ConfigError(
            f"{what} {name[:40]!r} {wrong}", "use letters, digits, spaces and . _ - : , +"
        )


def parse_tags(words: list[str] | None) -> dict[str, str]:
    """`["team=nlp"]` → `{"team": "nlp"}`."""
    tags = {}
    for word in words or []:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"--tag {word!r} has no value", "write --tag key=value")
        tags[key] = value
    return tags


def check_tags(tags: dict[str, str]) -> None:
    """Keys are names; values may hold anything printable."""
    for key, value in tags.items():
        check_name(key, "the tag")
        if len(value) > LONGEST or not value.isprintable():
            raise ConfigError(
                f"the value of tag {key} is {_wrong(value) or 'not printable'}",
                f"use at most {LONGEST} printable characters",
            )


def _wrong(name: str) -> str:
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST:
        return f"has {len(name)} characters, more than {LONGEST}"
    if not name.isprintable():
        return "has control characters"
    if name.startswith("-"):
        return "begins with -"
    return next((f"contains {part}" for part in ("/", "\\", "..") if part in name), "")
