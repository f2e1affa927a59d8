"""What was asked: overrides and conf/ become one frozen, checked Config.

config = compose(["recipe=seq2seq", "optim.lr=0.002"], project_root(Path.cwd()), home() / "cache")
config.optim.lr, config.recipe.knobs["width"]
"""

from __future__ import annotations

import copy
import json
import os
import re
import typing
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache as once
from pathlib import Path
from typing import Any, Literal

from turnaround import __version__, spec
from turnaround.config import literal, places
from turnaround.config.check import Misfit, fit, known
from turnaround.config.knobs import KnobSchema, schema
from turnaround.errors import ConfigError, near
from turnaround.signature import signature
from turnaround.spec import groups

# words for words
SHORT = {"data.batch=adaptive": "data.grow=16", "data.batch=all": "data.whole=true"}
REMEMBERED = 64  # compositions kept in the cache, 2 KB each


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
    seed: spec.Seed = 0
    precision: Literal["fp32", "bf16", "fp64"] = "fp32"
    init_from: str | None = None  # a run, by its id or name
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
ROOT = ("seed", "precision", "init_from", "name", "tags")


def compose(overrides: list[str], project: Path, cache: Path | None = None) -> Config:
    """What `overrides` and conf/ come to; ConfigError names the first word that is wrong."""
    overrides = [_text(word) for word in _long(overrides)]
    fields = _composed(overrides, project, cache)
    try:
        return _config(fields, project)
    except Misfit as error:
        where = _whence(error.key, overrides, project)
        raise ConfigError(error.message + where, error.hint) from None


@once
def hints(kind: type) -> dict[str, Any]:
    """The types of a data class's fields, with their limits."""
    return typing.get_type_hints(kind, include_extras=True)


def settings(group: str) -> dict[str, KnobSchema]:
    """The fields of a group with their types, defaults and meanings, read from their source."""
    return schema(Path(groups.__file__), GROUPS[group].__name__)


# ── composing ──


def _long(words: list[str]) -> list[str]:
    """The words that short ones stand for, unless a later one takes their place; who names a batch
    wants no whole split."""
    plain = [word.lstrip("+") for word in words]
    last = [word for word in plain if _key(word) == "data.batch"][-1:]
    pairs = zip(plain, words, strict=True)
    words = [SHORT.get(bare, word) for bare, word in pairs if bare not in SHORT or [bare] == last]
    keys = {*map(_key, words)}
    sized = "data.batch" in keys and "data.whole" not in keys
    return [*words, "data.whole=false"] if sized else words


def _key(word: str) -> str:
    """The setting that a word is about."""
    return word.lstrip("+").partition("=")[0]


def _text(word: str) -> str:
    """The word, its number in quotes where it is a text: a run named 1.10 is not one named 1.1."""
    key, _, value = word.partition("=")
    if literal.numeric(value.strip()) and f"{_key(word)}.".startswith(_texts()):
        return f"{key}='{value.strip()}'"
    return word


@once
def _texts() -> tuple[str, ...]:
    """The settings that are texts or names and texts, with a dot behind."""
    groups = {f"{group}.": hints(kind) for group, kind in GROUPS.items()}
    found = {"": {key: hints(Config)[key] for key in ROOT}, **groups}
    kinds = (str, str | None, dict[str, str])
    return tuple(
        f"{group}{name}."
        for group, types in found.items()
        for name, kind in types.items()
        if kind in kinds
    )


def _composed(overrides: list[str], project: Path, cache: Path | None) -> dict[str, Any]:
    """What Hydra makes of it, unless it was asked before: to import and ask it takes 0.2 s.

    Numbers are put in afterwards, so that another learning rate is no other composition.
    """
    texts = places.conf_texts(project)
    numbers = _numbers(overrides, texts.values()) if cache else {}
    words = [word for word in overrides if word.partition("=")[0] not in numbers]
    file = cache / "config.json" if cache else None
    key = signature([__version__, words, texts, [*places.recipes(project)]])
    before = _remembered(file)
    if key not in before:
        from turnaround.config import source  # not at the top: see above

        before = {**before, key: source.load(words, project)}
        _remember(file, dict(list(before.items())[-REMEMBERED:]))
    made = _with(before[key], numbers)
    return made or _composed(overrides, project, None)


def _numbers(words: list[str], texts: Iterable[str]) -> dict[str, int | float]:
    """Settings of which one word says all, a number; none where a word or a text may refer to
    them."""
    found = dict(filter(None, map(literal.setting, words)))
    keys = [*map(_key, words)]
    keys = [key for key in keys if key not in places.GROUPS]  # a file comes before any word
    alone = {key: value for key, value in found.items() if sum(_meet(key, k) for k in keys) == 1}
    return {} if any("${" in text for text in (*words, *texts)) else alone


def _meet(one: str, other: str) -> bool:
    """They are the same setting, or one is a part of the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _with(fields: dict[str, Any], numbers: dict[str, int | float]) -> dict[str, Any] | None:
    """The fields with these numbers; none where one would take the place of more than a value."""
    made = copy.deepcopy(fields)
    for key, value in numbers.items():
        group, _, name = key.rpartition(".")
        inside = made.get(group) if group else made
        if not isinstance(inside, dict) or isinstance(inside.get(name), dict | list):
            return None
        inside[name] = value
    return made


def _remembered(file: Path | None) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(file.read_bytes()) if file else {}
    except (OSError, ValueError):
        found = {}
    return found if isinstance(found, dict) else {}


def _remember(file: Path | None, entries: dict[str, dict[str, Any]]) -> None:
    if file is None:
        return
    fresh = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError, TypeError):  # a cache that cannot be written is no harm
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(entries))
        fresh.replace(file)


# ── checking ──


def _config(fields: dict[str, Any], project: Path) -> Config:
    file = _recipe_file(fields, project)
    knobs = schema(file)
    _check_keys(fields, knobs)
    root = {key: fit(key, fields[key], hints(Config)[key]) for key in ROOT if key in fields}
    groups = {group: _group(group, kind, fields.get(group, {})) for group, kind in GROUPS.items()}
    recipe = spec.Recipe(file.stem, _knobs(knobs, fields["recipe"], file))
    return Config(recipe=recipe, recipe_file=file, **groups, **root)


def _recipe_file(fields: dict[str, Any], project: Path) -> Path:
    files = places.recipes(project)
    asked = fields.get("recipe") or {}
    name = asked.get("name") if isinstance(asked, dict) else asked
    if name is None:
        choice = ", ".join(sorted(files))
        raise ConfigError("no recipe was asked for", f"recipe=… takes one of {choice}")
    if str(name) not in files:
        message = f"recipe={name} is not one of the recipes"
        hint = near(str(name), files, otherwise="turnaround recipes lists them")
        raise Misfit("recipe.name", message, hint)
    return files[str(name)]


def _check_keys(fields: dict[str, Any], knobs: dict[str, KnobSchema]) -> None:
    inside = {group: [f"{group}.{name}" for name in hints(kind)] for group, kind in GROUPS.items()}
    inside["recipe"] = ["recipe.name", *(f"recipe.{name}" for name in knobs)]
    everywhere = [key for keys in inside.values() for key in keys]
    for key, value in fields.items():
        if key in everywhere:  # in a file, a dot is a letter like any other
            raise Misfit(key, f"{key} is written with a dot", f"{key.replace('.', ': {', 1)}: …}}")
        known(key, [*inside, *ROOT], everywhere)
        if key in inside and not isinstance(value, dict):
            message = f"{key}={value}: {key} is a group of settings"
            raise Misfit(key, message, f"as in {inside[key][0]}=…")
        for name in value if key in inside else ():
            known(f"{key}.{name}", inside[key], everywhere)


def _group(group: str, kind: type, asked: dict[str, Any]) -> Any:
    """The group's data class; only what differs from its defaults needs a look."""
    plain = vars(kind())
    changed = [name for name, value in asked.items() if not _same(value, plain[name])]
    types = hints(kind)
    return kind(**{name: fit(f"{group}.{name}", asked[name], types[name]) for name in changed})


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


def _knobs(
    schema: dict[str, KnobSchema], asked: dict[str, Any], file: Path
) -> dict[str, spec.Knob]:
    """Every knob with its value; a default that only the recipe can compute is left to it."""
    values: dict[str, spec.Knob] = {}
    for name, knob in schema.items():
        if name in asked:
            values[name] = fit(f"recipe.{name}", asked[name], knob.annotation)
        elif knob.required:
            message = f"recipe.{name} has no value, and {file.name} no default for it"
            raise ConfigError(message, f"recipe.{name}=…")
        elif not knob.computed:
            values[name] = _default(f"recipe.{name}", knob)
    return values


def _default(key: str, knob: KnobSchema) -> Any:
    """The default as a word would give it, 2 as 2.0 of a float; as it is where it does not fit."""
    with suppress(Misfit):
        return fit(key, knob.default, knob.annotation)
    return knob.default


def _whence(key: str, overrides: list[str], project: Path) -> str:
    """The file and line that says `key`, when no word does and no other line could mean it."""
    words = [*map(_key, overrides)]
    if any(key == word or key.startswith(f"{word}.") for word in words):
        return ""
    said = re.compile(rf"(^|[\s{{,]){re.escape(key.rpartition('.')[2])}\s*:")
    found = [
        f" ({file}, line {number})"
        for file in places.conf_files(project)
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1)
        if said.search(line.partition("#")[0]) and file.is_relative_to(project)
    ]
    return found[0] if len(found) == 1 else ""
