"""Several values for one setting: what `turnaround sweep` tries, and a config with one of them.

fixed, axes = split(["recipe=seq2seq", "optim.lr=tag(log,interval(1e-4,1e-1))"], project)
axes[0].low, axes[0].log                  # 0.0001, True
varied(config, {"optim.lr": 0.003})       # checked, as if it had been asked for
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from turnaround.config import literal
from turnaround.config.axis import Axis
from turnaround.config.check import Misfit, fit, known
from turnaround.config.places import GROUPS
from turnaround.errors import ConfigError

if TYPE_CHECKING:
    from turnaround.config.asked import Config

T = TypeVar("T")


def split(words: list[str], project: Path) -> tuple[list[str], list[Axis]]:
    """Words of one value, and what the others ask to try; a setting that is asked twice is none."""
    keys = [word.lstrip("+").partition("=")[0] for word in words]
    found = [axis_of(word, project) for word in words]
    for axis in filter(None, found):
        if keys.count(axis.key) > 1:
            said = " and ".join(w for w, key in zip(words, keys, strict=True) if key == axis.key)
            raise ConfigError(f"{said} contradict each other", "one word says all of its values")
    fixed = [word for word, axis in zip(words, found, strict=True) if axis is None]
    return fixed, [axis for axis in found if axis]


def axis_of(word: str, project: Path) -> Axis | None:
    """What the word asks to try; Hydra is asked where it is more than a list of numbers."""
    key, _, value = word.partition("=")
    if literal.single(value):
        return None
    if key not in GROUPS and literal.KEY.fullmatch(key) and (values := literal.listed(value)):
        return Axis(key, [*values])
    from turnaround.config import source  # not at the top: Hydra takes 0.2 s

    return source.axis(word, project)


def written(key: str, value: Any) -> str:
    """The word of a command line that asks for this value."""
    if type(value) in (int, float):
        return f"{key}={value!r}"
    from turnaround.config import source

    return source.written(key, value)


def section(group: str, kind: type[T], words: list[str], project: Path) -> T:
    """A group that no run has, from its words: `sweep=asha sweep.trials=50`."""
    from turnaround.config.asked import hints

    fields = _fields(group, words, project)
    types = hints(kind)  # type: ignore[arg-type]  # a class is hashable
    for name in fields:
        known(f"{group}.{name}", [f"{group}.{each}" for each in types], [])
    return kind(
        **{name: fit(f"{group}.{name}", item, types[name]) for name, item in fields.items()}
    )


def _fields(group: str, words: list[str], project: Path) -> dict[str, Any]:
    found = [literal.setting(word) for word in words]
    if None not in found:
        return {key.removeprefix(f"{group}."): value for key, value in filter(None, found)}
    from turnaround.config import source

    return source.section(group, words, project)


def varied(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values for some settings; ConfigError where one does not fit."""
    changed: dict[str, dict[str, Any]] = {}
    if "data.batch" in values:  # who names a batch wants no whole split
        values = {"data.whole": False, **values}
    for key, value in values.items():
        group, _, name = key.rpartition(".")
        changed.setdefault(group, {})[name] = fit(key, value, type_of(config, key))
    root = changed.pop("", {})
    knobs = changed.pop("recipe", {})
    recipe = replace(config.recipe, knobs={**config.recipe.knobs, **knobs})
    groups = {group: replace(getattr(config, group), **some) for group, some in changed.items()}
    return replace(config, recipe=recipe, **groups, **root)


def type_of(config: Config, key: str) -> Any:
    """What a setting may hold; Misfit where there is no such setting, or none to be tried."""
    from turnaround.config.asked import GROUPS, ROOT, hints
    from turnaround.config.knobs import schema

    group, _, name = key.rpartition(".")
    if group == "recipe":
        knobs = schema(config.recipe_file)
        known(key, [f"recipe.{each}" for each in knobs], [])
        return knobs[name].annotation
    kind = GROUPS.get(group, type(config) if key in ROOT else None)
    if kind is None or name not in hints(kind):
        raise Misfit(key, f"{key} is not a setting that can take several values", "optim.lr=0.1,1")
    return hints(kind)[name]
