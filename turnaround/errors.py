"""Every exception that a user can meet, in one tree.

    TurnaroundError            exit  what happened
    ├─ ConfigError               2   a word of the command line or of a config file is wrong
    ├─ PlanError                 2   the words are right, but what they ask for cannot be
    ├─ JournalError              2   a run that is not there, or a journal that cannot be read
    ├─ DataError                 2   a data file is missing, empty, unreadable or malformed
    ├─ RecipeError               1   the recipe's own code is wrong or failed
    ├─ RunFailed                 1   the run ended without an answer
    │  ├─ Interrupted           75   it was stopped in good order and can be resumed
    │  └─ NumericsError          4   a loss or gradient was not finite
    ├─ LaunchError               3   the pool or a machine below it gave up
    └─ CheckpointError           3   no checkpoint that can be trusted

A message has three parts: what was asked, what was found, and (after the arrow) what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TurnaroundError(Exception):
    """What was asked and what was found, with what to do about it in `hint`."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message


class ConfigError(TurnaroundError):
    """A word of the command line or of a config file is wrong."""

    exit_code = 2


class PlanError(TurnaroundError):
    """The words are right, but what they ask for cannot be."""

    exit_code = 2


class JournalError(TurnaroundError):
    """A run that is not there, or a journal that cannot be read."""

    exit_code = 2


class DataError(TurnaroundError):
    """A data file is missing, empty, unreadable or malformed."""

    exit_code = 2


class RecipeError(TurnaroundError):
    """The recipe's own code is wrong or failed."""

    exit_code = 1


class RunFailed(TurnaroundError):
    """The run ended without an answer."""

    exit_code = 1


class Interrupted(RunFailed):
    """The run was stopped in good order and can be resumed."""

    exit_code = 75


class NumericsError(RunFailed):
    """A loss or a gradient was not finite."""

    exit_code = 4


class LaunchError(TurnaroundError):
    """The pool, or a machine below it, gave up."""

    exit_code = 3


class CheckpointError(TurnaroundError):
    """No checkpoint that can be trusted."""

    exit_code = 3


def near(
    word: str, choices: Iterable[str], most: int = 3, otherwise: str = "check how it is spelt"
) -> str:
    """A hint that names the nearest of `choices`, and all of them when they are few.

    `otherwise` says where they are listed.
    """
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=most, cutoff=0.5)
    listed = f"({', '.join(known)})" if 0 < len(known) <= 24 else ""
    if close:
        return f"did you mean {' or '.join(close)}?  {listed}".rstrip()
    return f"choose one of {listed}" if listed else otherwise
