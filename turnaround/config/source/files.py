"""A file of conf/ that is small, flat and plain enough to be handed on to Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from turnaround.errors import ConfigError

MOST_BYTES, MOST_DEPTH, MOST_ALIASES = 2**18, 32, 64  # of one file; ours keep below 4096, 4 and 0
_RESOLVER = re.compile(r"\$\{[^}]*:")  # ${oc.env:HOME} and its kin; ${optim.lr} is welcome


def inspected(file: Path) -> str:
    """The text of a file that is small, flat and plain enough to be handed on."""
    if file.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{file} is larger than {MOST_BYTES // 1024} KiB", "keep it to a screen")
    try:
        text = file.read_text("utf-8")
        depth, aliases = _shape(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(file, error) from None
    if depth > MOST_DEPTH or aliases > MOST_ALIASES:
        raise ConfigError(
            f"{file} is nested {depth} deep with {aliases} aliases",
            f"a config file has at most {MOST_DEPTH} levels and {MOST_ALIASES} aliases",
        )
    return text


def _shape(text: str) -> tuple[int, int]:
    """How deep a YAML text is nested and how many aliases it holds, with nothing built of it."""
    depth = deepest = aliases = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        aliases += isinstance(event, yaml.AliasEvent)
    return deepest, aliases


def mapping(text: str, file: Path | None) -> DictConfig:
    try:
        content = OmegaConf.create(text)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise _unreadable(file, error) from None
    if not isinstance(content, DictConfig):
        raise ConfigError(f"{file} holds no keys", "key: value, one to a line")
    harmless(OmegaConf.to_container(content))  # Hydra resolves what stands among the defaults
    return content


def _unreadable(file: Path | None, error: Exception) -> ConfigError:
    mark = getattr(error, "problem_mark", None)  # of YAML's own errors
    where = f"{file}, line {mark.line + 1}," if mark else f"{file}"
    what = getattr(error, "problem", None) or brief(error)
    return ConfigError(f"{where} is not YAML: {what}", "key: value, one to a line")


def harmless(made: Any) -> None:
    """No key that asks for code, no `${…}` that reads anything but the config."""
    for key, value in _leaves(made, ""):
        if any(part.startswith("_") for part in key.split(".")):
            raise ConfigError(f"{key} is not a setting", "conf/ holds values; code is for recipes")
        if isinstance(value, str) and _RESOLVER.search(value):
            raise ConfigError(f"{key}={value} asks for more than a setting", "as in ${optim.lr}")


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict | list):
        yield key, value
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(item, f"{key}.{name}".lstrip("."))


def brief(error: BaseException) -> str:
    """The first two lines of what a library says."""
    text = str(error.__cause__ or error)
    text = str(error) if text == "None" else text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])
