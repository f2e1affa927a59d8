"""The door to Hydra: words of the command line and the files of conf/ in, one plain dictionary out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from turnaround.config import places
from turnaround.errors import ConfigError, near

MOST_BYTES, MOST_DEPTH, MOST_ALIASES = 2**18, 32, 64  # of one file; ours stay below 4 KiB, 4, 0
_RESOLVER = re.compile(r"\$\{[^}]*:")  # ${oc.env:HOME} and its kin; plain ${optim.lr} is welcome


def load(words: list[str], project: Path) -> dict[str, Any]:
    """What conf/ and `words` say together, `${…}` resolved; nothing is checked against a schema yet."""
    try:
        ready = [_ready(word, project) for word in words]
        made = _composed(ready, project)
        _harmless(OmegaConf.to_container(made))
        resolved = OmegaConf.to_container(made, resolve=True)
    except MissingConfigException as error:
        raise _missing(error) from None
    except (HydraException, OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(_first_lines(error), "turnaround plan recipe=… shows what a config comes to") from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


class Folders(ConfigSource):  # type: ignore[misc]  # Hydra ships no types
    """Hydra's view of `places`: the user's conf/ first, and a bare option for a recipe without a file.

    Hydra's own file source would load whatever it finds; this one refuses a file before it can hurt.
    """

    @staticmethod
    def scheme() -> str:
        """The search path is turnaround://<project>."""
        return "turnaround"

    def load_config(self, config_path: str) -> ConfigResult:
        """The file's content, and the package in its first line."""
        file = places.conf_file(Path(self.path), config_path)
        text = _inspected(file) if file else f"name: {Path(config_path).name}"
        header = self._get_header_dict(text)
        return ConfigResult(self.provider, self.full_path(), OmegaConf.create(text), header)

    def available(self) -> bool:
        """There is always a shipped conf/."""
        return True

    def is_group(self, config_path: str) -> bool:
        """One of ours; nothing is nested."""
        return config_path in places.GROUPS

    def is_config(self, config_path: str) -> bool:
        """There is a file of that name, or a recipe."""
        group, _, option = config_path.rpartition("/")
        bare = group == "recipe" and option in places.recipes(Path(self.path))
        return bare or places.conf_file(Path(self.path), config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The options of a group."""
        return [] if results_filter == ObjectType.GROUP else places.options(Path(self.path), config_path)


def _composed(words: list[str], project: Path) -> DictConfig:
    Plugins.instance().register(Folders)
    root = {"defaults": ["config", "_self_"], "hydra": {"searchpath": [f"turnaround://{project}"]}}
    ConfigStore.instance().store("turnaround", root)
    with initialize(config_path=None, job_name="turnaround", version_base="1.3"):
        return compose("turnaround", words)


# ── words ──


def _ready(word: str, project: Path) -> str:
    """The word as Hydra should read it, so that `experiment=x` and `+experiment=x` are the same."""
    override = _parsed(word, project)
    key, value = override.key_or_group, word.partition("=")[2]
    if key not in places.GROUPS:
        return f"++{key}={value}"  # a key that nobody knows is met later, by our own check
    known = places.options(project, key)
    if override.value() is not None and str(override.value()) not in known:
        raise ConfigError(f"{key}={value} is not one of the options of {key}", _options_hint(key, value, known))
    return f"{key}={value}"


def _parsed(word: str, project: Path) -> Override:
    if word.startswith("-") or "=" not in word:
        raise ConfigError(f"{word} is not a setting", _setting_hint(word, project))
    if word.startswith("~") or "@" in word.partition("=")[0]:
        raise ConfigError(f"{word}: settings are set, not removed or moved", "write key=null to unset one")
    if len(word) > MOST_BYTES or sum(map(word.count, "[{(")) > MOST_DEPTH:
        raise ConfigError(f"{word[:40]}… is too long or too deep for a setting", "write it in a file of conf/")
    try:
        override = OverridesParser.create().parse_override(word)
    except (OverrideParseException, OmegaConfBaseException) as error:
        raise ConfigError(f"{word} cannot be read: {_first_lines(error)}", "quote it: 'key=\"value\"'") from None
    if override.is_sweep_override():
        key = override.key_or_group
        raise ConfigError(
            f"{word} asks for several values, and run takes one",
            f"turnaround sweep tries several; a comma that belongs to the value is quoted: {key}='\"a,b\"'",
        )
    if override.key_or_group.split(".")[0].split("/")[0] == "hydra":
        raise ConfigError(f"{word}: Hydra's own settings are not used here", "turnaround plan shows what is")
    return override


def _setting_hint(word: str, project: Path) -> str:
    if word in places.recipes(project):
        return f"did you mean recipe={word}?"
    plain = word.lstrip("-").partition("=")
    return f"settings are written key=value{f': {plain[0]}={plain[2]}' if plain[2] else ', as in optim.lr=0.001'}"


def _options_hint(group: str, option: str, known: list[str]) -> str:
    return near(option, known) if known else f"there are none yet: write conf/{group}/{option}.yaml"


# ── files ──


def _inspected(file: Path) -> str:
    """The text of a file that is small, flat and plain enough to be handed on."""
    if file.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{file} is larger than {MOST_BYTES // 1024} KiB", "a config file is one screen")
    try:
        text = file.read_text("utf-8")
        depth, aliases = _shape(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} is not YAML: {_first_lines(error)}", "key: value, one to a line") from None
    if depth > MOST_DEPTH or aliases > MOST_ALIASES:
        raise ConfigError(
            f"{file} is nested {depth} deep with {aliases} aliases",
            f"a config file has at most {MOST_DEPTH} levels and {MOST_ALIASES} aliases",
        )
    return text


def _shape(text: str) -> tuple[int, int]:
    """How deep a YAML text is nested, and how many aliases it holds, before anything is built of it."""
    depth = deepest = aliases = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, depth)
        aliases += isinstance(event, yaml.AliasEvent)
    return deepest, aliases


# ── what came out ──


def _harmless(made: Any) -> None:
    """No key that asks for code, no `${…}` that reads anything but the config."""
    for key, value in _leaves(made, ""):
        if any(part.startswith("_") for part in key.split(".")):
            raise ConfigError(f"{key} is not a setting", "a config holds values; code belongs in a recipe")
        if isinstance(value, str) and _RESOLVER.search(value):
            raise ConfigError(f"{key}={value} would be computed", "only other settings may be named: ${optim.lr}")


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inside:
        yield key, value
    for name, item in inside:
        yield from _leaves(item, f"{key}.{name}".lstrip("."))


def _missing(error: MissingConfigException) -> ConfigError:
    """A `defaults:` line of a file names an option that is not there."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    return ConfigError(f"{_first_lines(error)}", near(option, error.options or []) if group else "")


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error.__cause__ or error).splitlines() if line.strip()]
    return "; ".join(lines[:2])
