"""Words and files, composed by Hydra to one plain dictionary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from turnaround.config import places
from turnaround.config.source.files import brief, harmless, inspected, mapping
from turnaround.config.source.words import ready
from turnaround.errors import ConfigError, near


def load(words: list[str], project: Path) -> dict[str, Any]:
    """What conf/ and `words` say together, `${…}` resolved; types and names are not checked yet."""
    settings = [ready(word, project) for word in words]
    try:
        made = _composed(settings, project)
        harmless(OmegaConf.to_container(made))
        resolved = OmegaConf.to_container(made, resolve=True)
    except MissingConfigException as error:
        raise _missing(error) from None
    except RecursionError:
        raise ConfigError("a file of conf/ includes itself", "see its list of defaults") from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(brief(error), "see the files of conf/ that were asked for") from None
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
        text = inspected(file) if file else ""
        header, content = self._get_header_dict(text), mapping(text, file)
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


def _missing(error: MissingConfigException) -> ConfigError:
    """An entry in some file's list of defaults leads nowhere."""
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    message = f"a file of conf/ asks for {group}={option}, which is not one of the options"
    hint = (
        near(option, error.options) if error.options else "as in defaults: [override /optim: sgd]"
    )
    return ConfigError(message, hint)
