"""The words that a shell offers: groups, their options, settings and their values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from turnaround import config
from turnaround.config import KnobSchema
from turnaround.errors import RecipeError, TurnaroundError


def overrides(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Words that may follow in `run` and `plan`, with what they mean."""
    said = [str(word) for word in ctx.params.get("overrides") or []]
    try:
        found = list(_words(Path.cwd(), said, incomplete))
    except TurnaroundError:
        return []  # a broken recipe is told when it is run
    return [(word, meaning) for word, meaning in found if word.startswith(incomplete)]


def recipes(incomplete: str) -> list[tuple[str, str]]:
    """Names of recipes."""
    return [(name, about) for name, about in _options(Path.cwd(), "recipe") if incomplete in name]


def _words(cwd: Path, said: list[str], incomplete: str) -> Iterator[tuple[str, str]]:
    key, equals, _ = incomplete.partition("=")
    group, dot, _ = key.partition(".")
    if not dot and not equals:
        yield from _groups()
    elif not dot:
        yield from ((f"{group}={option}", about) for option, about in _options(cwd, group))
    else:
        knobs = config.settings(group) if group in config.GROUPS else _knobs(cwd, said, group)
        for knob in knobs.values():
            about = f"{knob.type}, {knob.default}{': ' if knob.help else ''}{knob.help}"
            yield from ((f"{group}.{knob.name}={value}", about) for value in _values(knob, equals))


def _values(knob: KnobSchema, equals: str) -> tuple[object, ...]:
    """What may follow `key=`; nothing, before it is there."""
    if not equals:
        return ("",)
    return ("true", "false") if knob.type == "bool" else knob.choices


def _groups() -> Iterator[tuple[str, str]]:
    yield from ((f"{group}=", "a file of conf/") for group in config.places.GROUPS)
    yield from ((f"{group}.", "a setting of the group") for group in (*config.GROUPS, "recipe"))
    yield from ((f"{key}=", "") for key in config.ROOT)


def _options(cwd: Path, group: str) -> Iterator[tuple[str, str]]:
    project = config.project_root(cwd)
    files = config.recipes(project) if group == "recipe" else {}
    for option in config.places.options(project, group):
        try:
            yield option, config.headline(files[option]) if option in files else ""
        except RecipeError:
            yield option, "cannot be read"


def _knobs(cwd: Path, said: list[str], group: str) -> dict[str, KnobSchema]:
    """The knobs of the recipe that an earlier word chose."""
    files = config.recipes(config.project_root(cwd))
    chosen = [word.removeprefix("recipe=") for word in said if word.startswith("recipe=")]
    known = group == "recipe" and chosen and chosen[-1] in files
    return config.schema(files[chosen[-1]]) if known else {}
