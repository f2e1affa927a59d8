"""Freeze a project's code and environment, so that a later edit does not change a queued run.

frozen = freeze(project, recipe_file, home)
home / "snapshots" / frozen.hash / "tree"            the files; the recipe is recipes/<name>.py
                                 / "manifest.json"   sha256 and size of each, what was left out
                                 / "environment.txt" name==version, one to a line
                                 / "diff.patch"      against the commit
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePath

from turnaround.errors import LaunchError, PlanError
from turnaround.signature import signature
from turnaround.snapshot import git
from turnaround.snapshot.digest import Digests
from turnaround.snapshot.reach import reached

MOST_FILE, MOST_ALL = 10 * 2**20, 64 * 2**20  # bytes of one file, of all
MOST_WALKED = 5000  # files; a folder with more, and without git, is no project but somebody's home
SECRET = re.compile(
    r"\.env.*|id_(rsa|dsa|ecdsa|ed25519).*|.*\.(pem|key|p12|pfx)|\.(netrc|npmrc|pypirc)"
    r"|.*credentials.*|(.*[._-])?token([._-].*)?(?<!\.py)",  # but tokenizer.json, tokens.txt
    re.IGNORECASE,
)
RUBBISH = re.compile(
    r"\.(git|hg|venv|mypy_cache|ruff_cache|pytest_cache|ipynb_checkpoints|DS_Store)|__pycache__"
    r"|.*\.pyc|.*\.egg-info|venv|node_modules|mlruns|mlartifacts|mlflow\.db.*"
)


@dataclass(frozen=True)
class Frozen:
    """A stored snapshot."""

    hash: str
    left_out: list[str]  # secrets and what is too large, with the reason
    git_sha: str | None
    dirty: bool


def freeze(project: Path, recipe_file: Path, home: Path) -> Frozen:
    """Store the project's files below `home`, once for the same content."""
    try:
        return _freeze(project, recipe_file, home)
    except OSError as error:
        raise LaunchError(
            f"the code of {project} could not be kept in {home}: {error.strerror or error}",
            "turnaround gc frees space",
        ) from error


def _freeze(project: Path, recipe_file: Path, home: Path) -> Frozen:
    files, left_out = _chosen(project, recipe_file, home)
    revision = git.revision(project)
    packages = environment()
    digests = Digests(home / "cache" / f"files-{signature(str(project))}.json")
    manifest = {
        name: {"sha256": digests.of(file), "size": file.stat().st_size}
        for name, file in files.items()
    }
    digests.save()
    hash_ = signature([manifest, packages, revision.sha])
    folder = home / "snapshots" / hash_
    if folder.exists():
        os.utime(folder)  # as new as any: `gc` leaves it to the run that is about to name it
    else:
        notes = {
            "manifest.json": json.dumps({"files": manifest, "left_out": left_out}, indent=1),
            "environment.txt": packages,
            "diff.patch": git.diff(project, list(left_out)) if revision.dirty else "",
        }
        _store(folder, files, notes)
    told = [f"{name} ({why})" for name, why in left_out.items()]
    return Frozen(hash_, told, revision.sha, revision.dirty)


def environment() -> str:
    """Python and every installed package as name==version; the folders' names tell it in 3 ms."""
    infos = {info.name for folder in sys.path for info in Path(folder).glob("*.dist-info")}
    packages = sorted(info.removesuffix(".dist-info").replace("-", "==", 1) for info in infos)
    return "\n".join([f"# Python {platform.python_version()}, {sys.platform}", *packages, ""])


# ── which files ──


def _chosen(project: Path, recipe_file: Path, home: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Files by their name in the tree, and those left out with the reason."""
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for name in _listed(project.resolve(), home.resolve()):  # however links lead to them
        if why := _unfit(name, project):
            left_out[name] = why
        else:
            files[name] = project / name
    files |= reached(recipe_file, project)
    _bounded(files)
    return dict(sorted(files.items())), left_out


def _listed(project: Path, home: Path) -> list[str]:
    """What git knows, or what lies below the folder; nothing of a folder that is no project."""
    known = git.listed(project)
    names = _walked(project) if known is None else known
    return [
        name
        for name in names
        if not _matches(name, RUBBISH)
        and (project / name).is_file()
        and not (project / name).is_relative_to(home)
    ]


def _walked(project: Path) -> list[str]:
    found: list[str] = []
    for folder, inside, names in os.walk(project):
        inside[:] = [name for name in inside if not RUBBISH.fullmatch(name)]
        found += (os.path.relpath(os.path.join(folder, name), project) for name in names)
        if len(found) > MOST_WALKED:
            return []
    return found


def _matches(name: str, pattern: re.Pattern[str]) -> bool:
    return any(pattern.fullmatch(part) for part in PurePath(name).parts)


def _unfit(name: str, project: Path) -> str:
    """Why the file is left out; "" when it is not."""
    file = project / name
    if _matches(name, SECRET):
        return "may hold a secret"
    if file.is_symlink() and not file.resolve().is_relative_to(project.resolve()):
        return "a link out of the project"
    if not os.access(file, os.R_OK):
        return "cannot be read"
    size = file.stat().st_size
    return f"{size / 2**20:.0f} MiB" if size > MOST_FILE else ""


def _bounded(files: dict[str, Path]) -> None:
    sizes = {name: file.stat().st_size / 2**20 for name, file in files.items()}
    if sum(sizes.values()) * 2**20 > MOST_ALL:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        told = ", ".join(f"{name} ({sizes[name]:.1f} MiB)" for name in largest)
        raise PlanError(
            f"the project holds {sum(sizes.values()):.0f} MiB of files, more than 64 of code",
            f"name its data in .gitignore; the largest are {told}",
        )


# ── storing ──


def _store(folder: Path, files: dict[str, Path], notes: dict[str, str]) -> None:
    """Write all beside the place, then move it there: two at once do not meet."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as fresh:
        whole = Path(fresh, "whole")
        for name, file in files.items():
            (whole / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, whole / "tree" / name)
        for name, text in notes.items():
            (whole / name).write_text(text, "utf-8", "surrogateescape")
        _move(whole, folder)


def _move(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same content
            raise
