"""`turnaround recipes`: the recipes there are, or the knobs of one."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from turnaround import config
from turnaround.cli.views.record import strict_json
from turnaround.cli.views.table import WIDEST, plain, table, terminal_width
from turnaround.cli.words import arguments, completion
from turnaround.config import Config, KnobSchema
from turnaround.errors import ConfigError, RecipeError, near
from turnaround.journal import home

INDENT = 10


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="The one to look at.",
            autocompletion=completion.recipes,
            show_default=False,
        ),
    ] = None,
    as_json: arguments.AsJson = False,
) -> None:
    """List the recipes, your own first, or show one's knobs.

    \b
    turnaround recipes
    turnaround recipes seq2seq
    turnaround recipes seq2seq --json | jq -r '.knobs[].name'
    """
    project = config.project_root(Path.cwd())
    files = config.recipes(project)
    if name is None:
        told = [_told(name, file) for name, file in sorted(files.items())]
        typer.echo(strict_json(told, indent=1) if as_json else "\n\n".join(map(_block, told)))
    elif name in files:
        typer.echo(_one(name, files[name], project, as_json))
    else:
        raise ConfigError(
            f"recipe {name} is not one of the recipes",
            near(name, files, otherwise="turnaround recipes"),
        )


def _told(name: str, file: Path) -> dict[str, str]:
    """What there is to know of a recipe without running it."""
    try:
        told = {"headline": config.headline(file), **config.facts(file)}
    except RecipeError as error:
        told = {"headline": f"cannot be read: {error.message}"}
    return {"name": name, **told, "file": str(file)}


def _block(told: dict[str, str]) -> str:
    """A recipe's name and what it does, then the rest in lines of their own."""
    width = max(min(terminal_width() or WIDEST, WIDEST), 3 * INDENT)
    named = {"headline": told["name"]}
    lines = [
        textwrap.fill(
            plain(text),
            width,
            initial_indent=f"{'  ' * (key != 'headline')}{named.get(key, key)}".ljust(INDENT),
            subsequent_indent=" " * INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for key, text in told.items()
        if key != "name"
    ]
    return "\n".join(lines)


def _one(name: str, file: Path, project: Path, as_json: bool) -> str:
    knobs = list(config.schema(file).values())
    if as_json:
        fields = {"name": name, "headline": config.headline(file), "file": str(file)}
        return strict_json({**fields, "knobs": [asdict(knob) for knob in knobs]}, indent=1)
    rows = [(f"recipe.{knob.name}", _type(knob), _default(knob), knob.help) for knob in knobs]
    parts = [
        f"{name}: {config.headline(file)}\n{file}",
        table(("knob", "type", "default", "meaning"), rows) if rows else "It has no knobs.",
        _suited(name, project),
        f"turnaround run recipe={name}{_example(knobs)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _type(knob: KnobSchema) -> str:
    return " · ".join(map(str, knob.choices)) or knob.type


def _default(knob: KnobSchema) -> str:
    if knob.required:
        return "(must be given)"
    return "(computed)" if knob.computed else json.dumps(knob.default, ensure_ascii=False)


def _suited(name: str, project: Path) -> str:
    """What conf/recipe/<name>.yaml sets besides."""
    try:
        asked = config.compose([f"recipe={name}"], project, home() / "cache")
    except ConfigError:
        return ""  # a knob must be given first
    words = textwrap.fill(" ".join(_unusual(asked)), 96, break_on_hyphens=False)
    return "With it, unless you say otherwise:\n" + textwrap.indent(words, "  ") if words else ""


def _unusual(asked: Config) -> list[str]:
    """Settings that differ from the default of everything."""
    groups: dict[str, Any] = {group: getattr(asked, group) for group in config.GROUPS}
    return [
        f"{group}.{key}={value}"
        for group, kind in config.GROUPS.items()
        for key, value in vars(groups[group]).items()
        if value != vars(kind())[key]
    ]


def _example(knobs: list[KnobSchema]) -> str:
    plain = [k for k in knobs if not (k.required or k.computed or k.default is None)]
    return f" recipe.{plain[-1].name}={plain[-1].default}" if plain else ""
