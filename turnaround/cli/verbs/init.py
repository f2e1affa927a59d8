"""`turnaround init`: a folder with a recipe of one's own, which runs as it is."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from turnaround.errors import ConfigError

STARTER = Path(__file__).parents[2] / "starter"
NAMES = {"gitignore": ".gitignore"}  # kept under a name that does not hide the others from git


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where; made if it is not there.")
    ] = Path("."),
) -> None:
    """Make a folder with a small recipe, its conf and an experiment, to be changed into yours.

    Nothing that is there is written over.

    \b
    turnaround init spirals && cd spirals && turnaround run recipe=spirals
    turnaround init                      here
    """
    files = {source: folder / _target(source) for source in STARTER.rglob("*") if _kept(source)}
    if taken := [str(target) for target in files.values() if target.exists()]:
        raise ConfigError(f"{', '.join(taken)} would be written over", "name an empty folder")
    try:
        for source, target in files.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}", "name another folder") from None
    for target in sorted(files.values()):
        typer.echo(target)
    move = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    typer.echo(f"\n{move}turnaround run recipe=spirals")


def _kept(source: Path) -> bool:
    return source.is_file() and "__pycache__" not in source.parts


def _target(source: Path) -> Path:
    inside = source.relative_to(STARTER)
    return inside.with_name(NAMES.get(inside.name, inside.name))
