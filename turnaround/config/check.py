"""What a config may hold: known keys, and values of the right type.

fit("data.batch", "many", Count)
Misfit: data.batch=many does not fit: it should be a valid integer
  → data.batch is a whole number above 0
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from turnaround import spec
from turnaround.errors import ConfigError, near

SHOWN = 200  # characters of a value that does not fit


class Misfit(ConfigError):
    """A ConfigError that knows which key is wrong, so that the file it stands in can be named."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.key = key


def known(key: str, siblings: Iterable[str], everywhere: Iterable[str]) -> None:
    """`key` is one of `siblings`; else Misfit names the same word elsewhere, or a near one."""
    names = list(siblings)
    if key in names:
        return
    word = key.rpartition(".")[2]
    same = [other for other in everywhere if other.rpartition(".")[2] == word]
    hint = f"did you mean {' or '.join(same)}?" if same else near(key, names)
    raise Misfit(key, f"{key} is not a setting", hint)


def fit(key: str, value: Any, kind: Any) -> Any:
    """`value` as the type `kind` wants it; Misfit says what it wants."""
    wrong = []
    for reading in _readings(value):
        try:
            return _adapter(kind).validate_python(reading, strict=True)
        except ValidationError as error:
            wrong.append(error.errors()[0]["msg"])
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    what = wrong[0].removeprefix("Input ").removeprefix("Value error, ")
    raise Misfit(key, f"{key}={shown} does not fit: it {what}", f"{key} is {described(kind)}")


def _readings(value: Any) -> Iterator[Any]:
    """What may have been meant: 1e5 steps are 100000 steps, a run named 7 is named "7"."""
    yield value
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    if isinstance(value, dict):
        yield {
            name: item if isinstance(item, str) else json.dumps(item)
            for name, item in _flat(value, "")
        }


def _flat(value: dict[Any, Any], begin: str) -> Iterator[tuple[str, Any]]:
    """Names with dots for what lies deeper: a tag my.key is typed as tags.my.key=v."""
    for name, item in value.items():
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{begin}{name}.")
        else:
            yield f"{begin}{name}", item


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(allow_inf_nan=False))  # neither is JSON


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    types.NoneType: "null",
    dict[str, str]: "names and texts, {team: nlp}",
}
_SIGNS = {"gt": "above", "ge": "at least", "le": "at most"}


def described(kind: Any) -> str:
    """A type in words: `a whole number above 0 or null`."""
    inside = typing.get_args(kind)
    match typing.get_origin(kind):
        case typing.Annotated:
            return " ".join([described(inside[0]), *map(_limit, inside[1:])]).strip()
        case types.UnionType | typing.Union:
            return " or ".join(map(described, inside))
        case typing.Literal:
            return f"one of {', '.join(map(str, inside))}"
        case builtin if builtin is list:
            return f"a list, [x,y], of which each is {described(inside[0])}"
    return _WORDS.get(kind, "a value")


def _limit(limit: Any) -> str:
    if isinstance(limit, BeforeValidator) and limit.func is spec.seconds:
        return "in seconds, or like 90s, 20m, 1h30m"
    if isinstance(limit, BeforeValidator) and limit.func is spec.part:
        return "that is 1, 1/2, 1/4 or 1/8"
    return " and ".join(
        f"{word} {getattr(limit, sign)}" for sign, word in _SIGNS.items() if hasattr(limit, sign)
    )
