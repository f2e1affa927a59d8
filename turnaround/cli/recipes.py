"""`turnaround recipes`: the recipes there are, or the knobs of one."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from turnaround import config
from turnaround.cli import arguments, complete
from turnaround.cli.table import table
from turnaround.config import Config, KnobSchema
from turnaround.errors import ConfigError, RecipeError, near
from turnaround.journal import home


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RECIPE]",
            help="The one to look at.",
            autocompletion=complete.recipes,
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
        rows = [(name, _headline(file), str(file)) for name, file in sorted(files.items())]
        typer.echo(_listed(rows, as_json))
    elif name in files:
        typer.echo(_one(name, files[name], project, as_json))
    else:
        raise ConfigError(f"recipe {name} is not one of the recipes", near(name, files))


def _headline(file: Path) -> str:
    try:
        return config.headline(file)
    except RecipeError as error:
        return f"cannot be read: {error.message}"


def _listed(rows: list[tuple[str, str, str]], as_json: bool) -> str:
    columns = ("recipe", "what it does", "file")
    if as_json:
        keys = ("name", "headline", "file")
        return json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1)
    return table(columns, rows, spare=["file"])


def _one(name: str, file: Path, project: Path, as_json: bool) -> str:
    knobs = list(config.schema(file).values())
    if as_json:
        fields = {"name": name, "headline": config.headline(file), "file": str(file)}
        return json.dumps({**fields, "knobs": [asdict(knob) for knob in knobs]}, indent=1)
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
    plain = [knob for knob in knobs if not (knob.required or knob.computed)]
    return f" recipe.{plain[-1].name}={plain[-1].default}" if plain else ""
