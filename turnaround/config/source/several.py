"""Words that ask to try several values, in Hydra's sweep grammar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Glob, IntervalSweep, Sweep
from omegaconf import OmegaConf

from turnaround.config import places
from turnaround.config.axis import Axis
from turnaround.config.source.files import MOST_BYTES, inspected, mapping
from turnaround.config.source.words import KEY, option, parsed, plain
from turnaround.errors import ConfigError


def axis(word: str, project: Path) -> Axis | None:
    """What a word asks to try, in Hydra's sweep grammar; none where it asks for one value."""
    key, equals, value = word.lstrip("+").partition("=")
    if equals and not value.strip(" ,"):
        raise ConfigError(f"{word} has no value", f"those to try, with commas: {key}=A,B")
    asked = parsed(key, value) if KEY.fullmatch(key) and len(value) <= MOST_BYTES else None
    if asked is None or not asked.is_sweep_override():
        return None
    sweep: Any = asked.value()
    if isinstance(sweep, IntervalSweep):
        return _interval(key, value, sweep)
    if isinstance(sweep, Glob):
        return Axis(key, _matching(key, value, sweep, project))
    assert isinstance(sweep, Sweep)
    values: list[Any] = []
    for found in map(plain, asked.sweep_iterator()):
        if all(type(found) is not type(known) or found != known for known in values):
            values.append(found)
    if not values:
        raise ConfigError(f"{key}={value} is empty", "range(1,5) is 1, 2, 3, 4")
    for choice in values if key in places.GROUPS else ():
        option(key, str(choice), project)
    return Axis(key, values)


def section(group: str, words: list[str], project: Path) -> dict[str, Any]:
    """What `group=option` and `group.key=value` say of a group that no run has."""
    fields: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key == group:
            option(group, value, project)
            file = places.conf_file(project, f"{group}/{value}")
            made = OmegaConf.to_container(mapping(inspected(file) if file else "", file))
            assert isinstance(made, dict)
            fields = {**{str(name): item for name, item in made.items()}, **fields}
            continue
        asked = parsed(key, value)
        if asked is not None and asked.is_sweep_override():
            raise ConfigError(f"{key}={value} asks for several values", f"{group} itself takes one")
        fields[key.removeprefix(f"{group}.")] = value if asked is None else plain(asked.value())
    return fields


def _interval(key: str, value: str, sweep: IntervalSweep) -> Axis:
    low, high = float(sweep.start or 0), float(sweep.end or 0)
    log = "log" in sweep.tags
    if strange := sweep.tags - {"log"}:
        message = f"{key}={value} has the tag {', '.join(sorted(strange))}, which means nothing"
        raise ConfigError(message, "tag(log,interval(1e-4,1e-1)) is the one that does")
    if not low < high:
        raise ConfigError(f"{key}={value} is empty: it ends where it begins", "interval(low,high)")
    if log and low <= 0:
        raise ConfigError(f"{key}={value} has no logarithm at {low:g}", "begin above 0")
    ends: tuple[Any, Any] = (sweep.start, sweep.end)  # floats, but for int(interval(1,9))
    integer = all(isinstance(end, int) for end in ends)
    return Axis(key, low=low, high=high, log=log, integer=integer)


def _matching(key: str, value: str, sweep: Glob, project: Path) -> list[Any]:
    known = places.options(project, key) if key in places.GROUPS else []
    found = sweep.filter(known)
    if not found:
        hint = f"{key} has {', '.join(known)}" if known else "glob is for groups: optim=glob(*)"
        raise ConfigError(f"{key}={value} is nothing", hint)
    return list(found)
