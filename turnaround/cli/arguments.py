"""The words that several verbs take, and what is refused in them."""

from __future__ import annotations

from typing import Annotated

import typer

from turnaround.errors import ConfigError

LONGEST = 200  # characters of a name: it becomes a column, a tag and a page's title


def complete_runs(incomplete: str) -> list[tuple[str, str]]:
    """Runs whose id begins so, for the shell."""
    from turnaround.journal import Journal, home

    found = Journal(home()).runs(limit=200)
    return [
        (run.id, f"{run.status} {run.name or ''}") for run in found if run.id.startswith(incomplete)
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
TagWords = Annotated[
    list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; may be given again.")
]


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
