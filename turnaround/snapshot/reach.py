"""Which of a project's files a recipe reaches by import, read from their source."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from turnaround.signature import signature


def code(recipe_file: Path, project: Path) -> str:
    """The hash of the recipe's file and of every project file that it reaches by import."""
    found = reached(recipe_file, project).items()
    return signature({name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in found})


def reached(recipe_file: Path, project: Path) -> dict[str, Path]:
    """The recipe as recipes/<name>.py, and what it imports of the project, by name in the tree."""
    found = {f"recipes/{recipe_file.name}": recipe_file}
    waiting = [recipe_file]
    while waiting:
        for file in _imported(waiting.pop(), project):
            if file not in found.values():
                found[str(file.relative_to(project))] = file
                waiting.append(file)
    return found


def _imported(file: Path, project: Path) -> Iterator[Path]:
    """Files below `project` that `file` imports; `turnaround` itself counts by its version."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return  # whoever imports it will say so, with the line
    for node in ast.walk(tree):
        for name in _names(node, file, project):
            if name.split(".")[0] != "turnaround":
                yield from _files(name, project)


def _names(node: ast.AST, file: Path, project: Path) -> list[str]:
    """Dotted names that may be modules: `from a.b import c` may mean a.b, or a.b.c."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above: tuple[str, ...] = ()
    if node.level and file.is_relative_to(project):
        above = file.relative_to(project).parts[: -node.level]
    base = ".".join([*above, *filter(None, [node.module])])
    return [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]


def _files(name: str, project: Path) -> Iterator[Path]:
    """The module's file, and those of the packages on the way to it."""
    path = project
    for part in filter(None, name.split(".")):
        path = path / part
        both = (path.with_name(f"{part}.py"), path / "__init__.py")
        yield from (file for file in both if file.is_file())
