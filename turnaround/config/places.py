"""Where things lie: a project's root, its conf/ and recipes/, and the shipped ones behind."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS = (
    "recipe",
    "data",
    "optim",
    "layout",
    "update",
    "budget",
    "cluster",
    "tracking",
    "experiment",
)  # in the order in which they are merged: a later one wins
BESIDE = ("sweep",)  # groups that a run has no use for
_MARKS = ("pyproject.toml", "conf", "recipes", ".git")


def project_root(cwd: Path) -> Path:
    """The nearest folder upward with pyproject.toml, conf/, recipes/ or .git; else `cwd`."""
    folders = (cwd.absolute(), *cwd.absolute().parents)
    marked = (folder for folder in folders if any((folder / mark).exists() for mark in _MARKS))
    return next(marked, folders[0])


def shipped() -> Path:
    """The folder that holds the shipped conf/ and recipes/: in the wheel, or the repository."""
    package = Path(__file__).parents[1]
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent


def recipes(project: Path) -> dict[str, Path]:
    """Every recipe's file by its name; the user's own hide shipped ones of the same name."""
    files = [file for root in _roots(project) for file in root.glob("recipes/[!_.]*.py")]
    return {file.stem: file for file in reversed(files)}


def conf_file(project: Path, option: str) -> Path | None:
    """The file of `group/option`, the user's first; `config` is shipped, `project` the user's."""
    files = {
        "config": [shipped() / "conf" / "config.yaml"],
        "project": [root / "conf" / "config.yaml" for root in _roots(project)[:-1]],
    }.get(option, [root / "conf" / f"{option}.yaml" for root in _roots(project)])
    return next((file for file in files if file.is_file() and ".." not in option), None)


def conf_files(project: Path) -> Iterator[Path]:
    """Every file that can be asked for, the user's first."""
    for root in _roots(project):
        found = [*root.glob("conf/config.yaml")]
        for group in (*GROUPS, *BESIDE):
            found += sorted(root.glob(f"conf/{group}/[!_.]*.yaml"))
        yield from (file for file in found if file.is_file())


def conf_texts(project: Path) -> dict[str, str]:
    """What every file below conf/ says, by its path: a list of defaults may pull any of them in."""
    texts: dict[str, str] = {}
    for root in _roots(project):
        folder = root / "conf"
        for name in glob.iglob("**/*.yaml", root_dir=folder, recursive=True, include_hidden=True):
            if (file := folder / name).is_file():
                with suppress(OSError):  # whoever asks for it hears why
                    texts[str(file)] = file.read_text("utf-8", "replace")
    return texts


def options(project: Path, group: str) -> list[str]:
    """What may follow `group=`."""
    files = {file.stem for file in conf_files(project) if file.parent.name == group}
    return sorted(files | (recipes(project).keys() if group == "recipe" else set()))


def _roots(project: Path) -> list[Path]:
    """The user's folder, and the shipped one behind it."""
    return [project, shipped()] if project != shipped() else [project]
