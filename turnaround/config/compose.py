"""What was asked: overrides and conf/ become one frozen, checked Config.

    config = compose(["recipe=seq2seq", "optim.lr=0.002"], project_root(Path.cwd()))
    config.optim.lr, config.recipe.knobs["width"]
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from turnaround import spec
from turnaround.config import places
from turnaround.config.knobs import KnobSchema, schema
from turnaround.errors import ConfigError, near


@dataclass(frozen=True)
class Config:
    """Everything that was asked for, with the defaults of everything that was not."""

    recipe: spec.Recipe
    recipe_file: Path
    data: spec.Data
    optim: spec.Optim
    layout: spec.Layout
    update: spec.Update
    budget: spec.Budget
    evaluate: spec.Evaluate
    checkpoint: spec.Checkpoint
    cluster: spec.Cluster
    tracking: spec.Tracking
    seed: int = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


GROUPS: dict[str, type] = {
    "data": spec.Data,
    "optim": spec.Optim,
    "layout": spec.Layout,
    "update": spec.Update,
    "budget": spec.Budget,
    "evaluate": spec.Evaluate,
    "checkpoint": spec.Checkpoint,
    "cluster": spec.Cluster,
    "tracking": spec.Tracking,
}
ROOT = ("seed", "precision", "name", "tags")


def compose(overrides: list[str], project: Path) -> Config:
    """The Config that `overrides` and the files of conf/ come to; ConfigError names the first wrong word."""
    from turnaround.config.source import load  # Hydra costs 120 ms; a Config from the cache does without

    fields = load(overrides, project)
    return _config(fields, project)


def _config(fields: dict[str, Any], project: Path) -> Config:
    """The typed Config of a plain dictionary."""
    file = _recipe_file(fields, project)
    knobs = schema(file)
    _known(fields, knobs)
    asked = {key: value for key, value in fields["recipe"].items() if key != "name"}
    return Config(
        recipe=spec.Recipe(file.stem, _knobs(knobs, asked, file)),
        recipe_file=file,
        **{group: _group(group, kind, fields.get(group, {})) for group, kind in GROUPS.items()},
        **{key: fit(key, fields[key], _hints(Config)[key]) for key in ROOT if key in fields},
    )


def _recipe_file(fields: dict[str, Any], project: Path) -> Path:
    files = places.recipes(project)
    asked = fields.get("recipe")
    name = asked.get("name") if isinstance(asked, dict) else asked
    if name is None:
        raise ConfigError("no recipe was asked for", f"recipe=… is one of {', '.join(files) or 'none yet'}")
    if str(name) not in files:
        raise ConfigError(f"recipe={name} is not one of the recipes", near(str(name), files))
    return files[str(name)]


def _knobs(schema: dict[str, KnobSchema], asked: dict[str, Any], file: Path) -> dict[str, spec.Knob]:
    """Every knob with its value; one whose default is code is left to the recipe."""
    values: dict[str, spec.Knob] = {}
    for name, knob in schema.items():
        if name in asked:
            values[name] = fit(f"recipe.{name}", asked[name], knob.annotation, knob.default)
        elif knob.required:
            raise ConfigError(f"recipe.{name} has no value and {file.name} no default", f"recipe.{name}=…")
        elif not knob.computed:
            values[name] = knob.default
    return values


def _group(group: str, kind: type, asked: dict[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: fit(f"{group}.{name}", value, hints[name]) for name, value in asked.items()})


# ── keys ──


def _known(fields: dict[str, Any], knobs: Iterable[str]) -> None:
    """Refuse keys that mean nothing, naming near ones."""
    inside = {group: list(_hints(kind)) for group, kind in GROUPS.items()} | {"recipe": ["name", *knobs]}
    known = [f"{group}.{name}" for group, names in inside.items() for name in names]
    for key, value in fields.items():
        if key in ROOT:
            continue
        if key not in inside:
            raise ConfigError(f"{key} is not a setting", _near_key(key, [*inside, *ROOT], known))
        if not isinstance(value, dict):
            raise ConfigError(f"{key}={value}: {key} is a group of settings", f"{key}.{inside[key][0]}=…")
        for name in value:
            if name not in inside[key]:
                siblings = [f"{key}.{sibling}" for sibling in inside[key]]
                raise ConfigError(f"{key}.{name} is not a setting", _near_key(f"{key}.{name}", siblings, known))


def _near_key(key: str, siblings: list[str], known: list[str]) -> str:
    """The same word in another group, else what is spelled almost so."""
    word = key.rpartition(".")[2]
    same = [other for other in known if other.rpartition(".")[2] == word]
    return f"did you mean {' or '.join(same)}?" if same else near(key, siblings)


# ── values ──


def fit(key: str, value: Any, kind: Any, default: Any = None) -> Any:
    """`value` as the type wants it; ConfigError says what it wants."""
    if isinstance(value, int | float) and not isinstance(value, bool) and _takes_text(kind):
        value = str(value)  # name=7 is the text 7
    if isinstance(value, dict):
        value = {str(name): item if isinstance(item, str) else json.dumps(item) for name, item in value.items()}
    try:
        return _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input ").removeprefix("Value error, ")
        shown = json.dumps(value) if isinstance(value, list | dict) else value
        raise ConfigError(f"{key}={shown} does not fit: it {message}", f"{key} is {described(kind)}") from None


def _takes_text(kind: Any) -> bool:
    return kind is str or str in typing.get_args(kind) and not {int, float} & set(typing.get_args(kind))


def described(kind: Any) -> str:
    """A type in words: `a whole number above 0, or null`."""
    if typing.get_origin(kind) is typing.Annotated:
        base, *limits = typing.get_args(kind)
        return " ".join([described(base), *(_limit(limit) for limit in limits)]).strip()
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return " or ".join(described(one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    if typing.get_origin(kind) is list:
        return f"a list [a,b] of {_WORDS.get(typing.get_args(kind)[0], 'values').split(' ', 1)[-1]}s"
    return _WORDS.get(kind, "a value")


_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    types.NoneType: "null",
    dict[str, str]: "a set of names and texts",
}
_SIGNS = {"gt": "above", "ge": "at least", "le": "at most"}


def _limit(limit: Any) -> str:
    found = [f"{word} {getattr(limit, sign)}" for sign, word in _SIGNS.items() if hasattr(limit, sign)]
    return " ".join(found)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
