"""What git knows of a project; without git, or outside a repository, nothing, and that is fine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

MOST_DIFF = 2**20  # bytes kept of a diff


@dataclass(frozen=True)
class Revision:
    """The commit a project stands on, and whether its files differ from it."""

    sha: str | None = None
    dirty: bool = False


def revision(project: Path) -> Revision:
    """One call of git for both."""
    lines = (
        (_git(project, "status", "--porcelain=v2", "--branch", "--", ".") or b"")
        .decode()
        .splitlines()
    )
    sha = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
    dirty = any(not line.startswith("#") for line in lines)
    return Revision(None if sha == "(initial)" else sha, dirty)


def listed(project: Path) -> list[str] | None:
    """Files tracked, and untracked but not ignored; None without git."""
    found = _git(
        project, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"
    )
    return None if found is None else [os.fsdecode(name) for name in found.split(b"\0") if name]


def diff(project: Path, without: list[str]) -> str:
    """What tracked files differ by from the commit, but for the files `without`."""
    excluded = [f":(exclude,literal){name}" for name in without]
    found = _git(project, "diff", "HEAD", "--no-ext-diff", "--", ".", *excluded)
    return (found or b"")[:MOST_DIFF].decode("utf-8", "surrogateescape")


def _git(project: Path, *words: str) -> bytes | None:
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # never in the way of the user's own git
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *words], capture_output=True, env=environ, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
