"""The line that asks for a run once more, with some of its words changed.

line(["recipe=seq2seq", "layout=ddp", "layout.replicate=2"], ["layout=single"])
# turnaround run recipe=seq2seq layout=single

onward(journal, run)      # turnaround resume seq2seq-k3x9e
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from turnaround.cli.views import table
from turnaround.cli.views.table import INDENT, WIDEST, wrapped
from turnaround.journal import Journal, Run
from turnaround.sweep import start

ANY = ("layout.compile", "layout.activation_checkpointing")  # are for every layout


def line(words: Sequence[str], changes: Sequence[str] = ()) -> str:
    """What to type."""
    return shlex.join(["turnaround", "run", *changed(words, changes)])


def onward(journal: Journal, run: Run) -> str:
    """What to type for a run or a sweep that was cut short to go on."""
    verb = "sweep --resume" if start.is_sweep(journal, run) else "resume"
    return f"turnaround {verb} {run.id}"


def retyped(words: Sequence[str] | None, changes: Sequence[str]) -> str:
    """The whole line where there is something to change; where no words were noted, what to add."""
    if not changes:
        return ""
    return " ".join(changes) if words is None else line(words, changes)


def changed(words: Sequence[str], changes: Sequence[str]) -> list[str]:
    """The words, without those that a change replaces; another option takes its settings along."""
    keys = {change.partition("=")[0] for change in changes}
    options = tuple(f"{key}." for key in keys if "." not in key)
    kept = [word for word in words if not _replaced(word.lstrip("+"), keys, options)]
    return [*kept, *changes]


def _replaced(word: str, keys: set[str], options: tuple[str, ...]) -> bool:
    key = word.partition("=")[0]
    return key in keys or (key.startswith(options) and key not in ANY)


def titled(title: str, text: str) -> str:
    """A titled line, its rest below its beginning."""
    return wrapped(title, text, min(table.terminal_width() or WIDEST, WIDEST))


def command(title: str, text: str) -> str:
    """One line, however long: it is to be pasted."""
    return f"{title:<{INDENT}}{text}"
