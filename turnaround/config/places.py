"""Where things lie: the project's root, its conf/ and recipes/, and the shipped ones behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS = ("recipe", "data", "optim", "layout", "update", "budget", "cluster", "tracking", "experiment")
_MARKS = ("pyproject.toml", "conf", "recipes", ".git")


def project_root(cwd: Path) -> Path:
    """The nearest folder upward with pyproject.toml, conf/, recipes/ or .git; else `cwd` itself."""
    cwd = cwd.absolute()
    marked = (folder for folder in (cwd, *cwd.parents) if any((folder / mark).exists() for mark in _MARKS))
    return next(marked, cwd)


def shipped() -> Path:
    """The folder that holds the shipped conf/ and recipes/: inside the wheel, or the repository."""
    package = Path(__file__).parents[1]
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent


def roots(project: Path) -> list[Path]:
    """Folders whose conf/ and recipes/ count: the user's first, the shipped behind."""
    return [project] if project == shipped() else [project, shipped()]


def recipes(project: Path) -> dict[str, Path]:
    """Every recipe's file by its name; the user's own hide shipped ones of the same name."""
    found: dict[str, Path] = {}
    for root in roots(project):
        for file in sorted((root / "recipes").glob("[!_.]*.py")):
            found.setdefault(file.stem, file)
    return found


def conf_file(project: Path, option: str) -> Path | None:
    """The file of `group/option`, or of `config`: the user's own, else the shipped one."""
    files = (root / "conf" / f"{option}.yaml" for root in roots(project))
    return next((file for file in files if file.is_file()), None)


def options(project: Path, group: str) -> list[str]:
    """What `group=` may be followed by."""
    found = {file.stem for file in conf_files(project) if file.parent.name == group}
    return sorted(found | (set(recipes(project)) if group == "recipe" else set()))


def conf_files(project: Path) -> Iterator[Path]:
    """Every file that can have a say in a config."""
    for root in roots(project):
        yield from (root / "conf").glob("config.yaml")
        for group in GROUPS:
            yield from sorted((root / "conf" / group).glob("[!_.]*.yaml"))
