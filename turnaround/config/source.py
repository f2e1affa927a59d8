"""The door to Hydra: words and the files of conf/ go in, one plain dictionary comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, QuotedString, Sweep
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from turnaround.config import places
from turnaround.config.axis import Axis
from turnaround.errors import ConfigError, near

MOST_BYTES, MOST_DEPTH, MOST_ALIASES = 2**18, 32, 64  # of one file; ours keep below 4096, 4 and 0
_KEY = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
_RESOLVER = re.compile(r"\$\{[^}]*:")  # ${oc.env:HOME} and its kin; ${optim.lr} is welcome


def load(words: list[str], project: Path) -> dict[str, Any]:
    """What conf/ and `words` say together, `${…}` resolved; types and names are not checked yet."""
    ready = [_ready(word, project) for word in words]
    try:
        made = _composed(ready, project)
        _harmless(OmegaConf.to_container(made))
        resolved = OmegaConf.to_container(made, resolve=True)
    except MissingConfigException as error:
        raise _missing(error) from None
    except RecursionError:
        raise ConfigError("a file of conf/ includes itself", "see its list of defaults") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(_brief(error), "see the files of conf/ that were asked for") from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _composed(words: list[str], project: Path) -> DictConfig:
    """Shipped values, the project's own, the chosen options in order, words: a later one wins."""
    Plugins.instance().register(Folders)
    mine = ["project"] if places.conf_file(project, "project") else []
    defaults = ["config", *mine, *({group: None} for group in places.GROUPS), "_self_"]
    root = {"defaults": defaults, "hydra": {"searchpath": [f"turnaround://{project}"]}}
    ConfigStore.instance().store("turnaround", root)
    nothing = str(Path(__file__).parent)  # Hydra wants a folder; ours all come from `Folders`
    with initialize_config_dir(nothing, job_name="turnaround", version_base="1.3"):
        return compose("turnaround", words)


class Folders(ConfigSource):
    """Hydra's view of `places`: the user's conf/ first, and an option for each recipe.

    Hydra's own source would load whatever it finds; this one refuses a file before it can hurt.
    """

    @staticmethod
    def scheme() -> str:
        """The search path is turnaround://<project>."""
        return "turnaround"

    def load_config(self, config_path: str) -> ConfigResult:
        """The content and package of a file; a recipe's name where it says none."""
        file = places.conf_file(Path(self.path), config_path)
        text = _inspected(file) if file else ""
        header, content = self._get_header_dict(text), _mapping(text, file)
        group, _, option = config_path.rpartition("/")
        name = "recipe.name" if header["package"] == "_global_" else "name"
        if group == "recipe" and OmegaConf.select(content, name) is None:
            OmegaConf.update(content, name, option)
        if config_path == "project" and "defaults" in content:
            raise ConfigError(f"{file} has a list of defaults", "write values: optim: {name: sgd}")
        return ConfigResult(self.provider, self.full_path(), content, header)

    def available(self) -> bool:
        """There is always a shipped conf/."""
        return True

    def is_group(self, config_path: str) -> bool:
        """One of ours; nothing is nested."""
        return config_path in places.GROUPS

    def is_config(self, config_path: str) -> bool:
        """There is a file of that name, or a recipe."""
        group, _, option = config_path.rpartition("/")
        if group == "recipe" and option in places.recipes(Path(self.path)):
            return True
        return places.conf_file(Path(self.path), config_path) is not None

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The options of a group."""
        groups_only = results_filter == ObjectType.GROUP
        return [] if groups_only else places.options(Path(self.path), config_path)


# ── words ──


def _ready(word: str, project: Path) -> str:
    """The word as Hydra should read it: `experiment=x` and `+experiment=x` are the same."""
    key, equals, value = word.lstrip("+").partition("=")
    if not equals or word.startswith(("-", "~")):
        raise ConfigError(f"{word} is not a setting", _hint(word, project))
    if not _KEY.fullmatch(key) or key.startswith("hydra"):
        raise ConfigError(f"{key} is not a setting", "keys are words and dots: optim.lr=0.001")
    if len(value) > MOST_BYTES or sum(map(value.count, "[{(")) > MOST_DEPTH:
        raise ConfigError(f"{key}={value[:40]}… is too long or too deep", "write a file in conf/")
    if key in places.GROUPS:
        return _option(key, value, project)
    return f"++{key}={_one_value(key, value)}"  # ++: an unknown key is met by our own check


def _hint(word: str, project: Path) -> str:
    if word in places.recipes(project):
        return f"did you mean recipe={word}?"
    if word.startswith("~"):
        return f"{word[1:].partition('=')[0]}=null unsets one"
    return "settings are written key=value: optim.lr=0.001"


def _option(group: str, option: str, project: Path) -> str:
    known = places.options(project, group)
    if option in known:
        return f"{group}={option}"
    hint = near(option, known) if known else f"there are none yet: write conf/{group}/{option}.yaml"
    raise ConfigError(f"{group}={option} is not one of the options of {group}", hint)


def _one_value(key: str, value: str) -> str:
    """The value, in quotes where Hydra's grammar cannot read it: `(3`, `résumé.txt`, `it's`."""
    try:
        several = OverridesParser.create().parse_override(f"{key}={value}").is_sweep_override()
    except (HydraException, OmegaConfBaseException):
        return f"'{re.sub(_QUOTED, _escaped, value)}'"
    if several:
        raise ConfigError(
            f"{key}={value} asks for several values, and a run takes one",
            "`turnaround sweep` tries several; a comma inside a value is quoted: name='\"a,b\"'",
        )
    return value


_QUOTED = re.compile(r"(\\*)('|$)")  # where Hydra reads a backslash as more than itself


def _escaped(found: re.Match[str]) -> str:
    return found[1] * 2 + ("\\'" if found[2] else "")


# ── several values ──

_SWEEP = re.compile(r"(choice|range|interval|tag|shuffle|sort|glob)\(")


def axis(word: str, project: Path) -> Axis | None:
    """What a word asks to try, in Hydra's sweep grammar; none where it asks for one value."""
    key, equals, value = word.lstrip("+").partition("=")
    if equals and not value.strip(" ,"):
        raise ConfigError(f"{word} has no value", f"those to try, with commas: {key}=A,B")
    asked = _parsed(key, value) if _KEY.fullmatch(key) and len(value) <= MOST_BYTES else None
    if asked is None or not asked.is_sweep_override():
        return None
    sweep: Any = asked.value()
    if isinstance(sweep, IntervalSweep):
        return _interval(key, value, sweep)
    if isinstance(sweep, Glob):
        return Axis(key, _matching(key, value, sweep, project))
    assert isinstance(sweep, Sweep)
    values: list[Any] = []
    for found in map(_plain, asked.sweep_iterator()):
        if all(type(found) is not type(known) or found != known for known in values):
            values.append(found)
    if not values:
        raise ConfigError(f"{key}={value} is empty", "range(1,5) is 1, 2, 3, 4")
    for option in values if key in places.GROUPS else ():
        _option(key, str(option), project)
    return Axis(key, values)


def section(group: str, words: list[str], project: Path) -> dict[str, Any]:
    """What `group=option` and `group.key=value` say of a group that no run has."""
    fields: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key == group:
            _option(group, value, project)
            file = places.conf_file(project, f"{group}/{value}")
            made = OmegaConf.to_container(_mapping(_inspected(file) if file else "", file))
            assert isinstance(made, dict)
            fields = {**{str(name): item for name, item in made.items()}, **fields}
            continue
        asked = _parsed(key, value)
        if asked is not None and asked.is_sweep_override():
            raise ConfigError(f"{key}={value} asks for several values", f"{group} itself takes one")
        fields[key.removeprefix(f"{group}.")] = value if asked is None else _plain(asked.value())
    return fields


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


def _parsed(key: str, value: str) -> Override | None:
    """As Hydra's grammar reads it; none where it is a text that the grammar does not know."""
    try:
        return OverridesParser.create().parse_override(f"{key}={value}")
    except (HydraException, OmegaConfBaseException) as error:
        if _SWEEP.match(value):
            hint = "choice(64,128), range(1,9), interval(0.1,1), tag(log,interval(1e-4,1e-1))"
            raise ConfigError(
                f"{key}={value} is not in Hydra's grammar: {_brief(error)}", hint
            ) from None
        return None


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


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


# ── files ──


def _inspected(file: Path) -> str:
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


def _mapping(text: str, file: Path | None) -> DictConfig:
    try:
        content = OmegaConf.create(text)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise _unreadable(file, error) from None
    if not isinstance(content, DictConfig):
        raise ConfigError(f"{file} holds no keys", "key: value, one to a line")
    _harmless(OmegaConf.to_container(content))  # Hydra resolves what stands among the defaults
    return content


def _unreadable(file: Path | None, error: Exception) -> ConfigError:
    mark = getattr(error, "problem_mark", None)  # of YAML's own errors
    where = f"{file}, line {mark.line + 1}," if mark else f"{file}"
    what = getattr(error, "problem", None) or _brief(error)
    return ConfigError(f"{where} is not YAML: {what}", "key: value, one to a line")


# ── what came out ──


def _harmless(made: Any) -> None:
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


def _missing(error: MissingConfigException) -> ConfigError:
    """An entry in some file's list of defaults leads nowhere."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    message = f"a file of conf/ asks for {group}={option}, which is not one of the options"
    hint = (
        near(option, error.options) if error.options else "as in defaults: [override /optim: sgd]"
    )
    return ConfigError(message, hint)


def _brief(error: BaseException) -> str:
    """The first two lines of what a library says."""
    text = str(error.__cause__ or error)
    text = str(error) if text == "None" else text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:2])
