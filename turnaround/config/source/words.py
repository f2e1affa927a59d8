"""The words of a command line: what is a setting, in the grammar that Hydra reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from turnaround.config import places
from turnaround.config.source.files import MOST_BYTES, MOST_DEPTH, brief
from turnaround.errors import ConfigError, near

KEY = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
_SWEEP = re.compile(r"(choice|range|interval|tag|shuffle|sort|glob)\(")
_UNREAD = (HydraException, OmegaConfBaseException, ValueError)  # of a number of 5,000 digits


def ready(word: str, project: Path) -> str:
    """The word as Hydra should read it: `experiment=x` and `+experiment=x` are the same."""
    key, equals, value = word.lstrip("+").partition("=")
    if not equals or word.startswith(("-", "~")):
        raise ConfigError(f"{word} is not a setting", _hint(word, project))
    if not KEY.fullmatch(key) or key.startswith("hydra"):
        raise ConfigError(f"{key} is not a setting", "keys are words and dots: optim.lr=0.001")
    if len(value) > MOST_BYTES or sum(map(value.count, "[{(")) > MOST_DEPTH:
        raise ConfigError(f"{key}={value[:40]}… is too long or too deep", "write a file in conf/")
    if key in places.GROUPS:
        return option(key, value, project)
    return f"++{key}={_one_value(key, value)}"  # ++: an unknown key is met by our own check


def _hint(word: str, project: Path) -> str:
    if word in places.recipes(project):
        return f"did you mean recipe={word}?"
    if word.startswith("~"):
        return f"{word[1:].partition('=')[0]}=null unsets one"
    return "settings are written key=value: optim.lr=0.001"


def option(group: str, option: str, project: Path) -> str:
    known = places.options(project, group)
    if option in known:
        return f"{group}={option}"
    hint = near(option, known) if known else f"there are none yet: write conf/{group}/{option}.yaml"
    raise ConfigError(f"{group}={option} is not one of the options of {group}", hint)


def _one_value(key: str, value: str) -> str:
    """The value, in quotes where Hydra's grammar cannot read it: `(3`, `résumé.txt`, `it's`."""
    try:
        several = OverridesParser.create().parse_override(f"{key}={value}").is_sweep_override()
    except _UNREAD:
        return f"'{re.sub(_QUOTED, _escaped, value)}'"
    if several:
        raise ConfigError(
            f"{key}={value} asks for several values, and a run takes one",
            "`turnaround sweep` tries several; a comma inside a value is quoted: name='\"a,b\"'",
        )
    return value


def parsed(key: str, value: str) -> Override | None:
    """As Hydra's grammar reads it; none where it is a text that the grammar does not know."""
    try:
        return OverridesParser.create().parse_override(f"{key}={value}")
    except _UNREAD as error:
        if _SWEEP.match(value):
            hint = "choice(64,128), range(1,9), interval(0.1,1), tag(log,interval(1e-4,1e-1))"
            raise ConfigError(
                f"{key}={value} is not in Hydra's grammar: {brief(error)}", hint
            ) from None
        return None


def plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def written(key: str, value: Any) -> str:
    """The word that asks for this value."""
    if key in places.GROUPS:
        return f"{key}={value}"
    return f"{key}={_text(value)}"


def _text(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case list():
            return f"[{','.join(map(_text, value))}]"
        case str():
            bare = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in _CONSTANTS
            return value if bare else f"'{re.sub(_QUOTED, _escaped, value)}'"
    return repr(value)


_CONSTANTS = ("null", "true", "false", "nan", "inf")
_QUOTED = re.compile(r"(\\*)('|$)")  # where Hydra reads a backslash as more than itself


def _escaped(found: re.Match[str]) -> str:
    return found[1] * 2 + ("\\'" if found[2] else "")
