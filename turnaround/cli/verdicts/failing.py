"""Why a run failed: its error, the end of its log, and what to type next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from turnaround.advice.facts import Facts
from turnaround.cli.views import table
from turnaround.cli.views.again import command, line, onward, titled
from turnaround.cli.views.tail import latest
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.spec import Optim

LINES = 12  # of the log
TRACE = 6  # lines of the traceback's end
_FILE = re.compile(r'^ +File "(.+)", line (\d+)', re.MULTILINE)
_SETTING = re.compile(r"[a-z_]+(\.[a-z_]+)*=[^\s,…]+")  # what a hint may begin with
GENTLER = 4  # times smaller a learning rate


@dataclass(frozen=True)
class Failure:
    """What went wrong, for whoever has to mend it."""

    message: str
    hint: str
    trace: tuple[str, ...]  # the traceback's last lines
    log: tuple[str, ...]  # the log's last lines
    step: int  # how far it came
    command: str  # to type next; "" where only a person knows it
    after: str  # what to do before that


def explain(journal: Journal, run: Run, facts: Facts) -> Failure:
    """Why a run failed, from its first error and its log."""
    progress = latest(journal, run)
    said = progress.error.data if progress.error else {}
    trace = (said.get("traceback") or "").rstrip()
    words = facts.words or [f"recipe={run.recipe}"]
    after, typed = _next(journal, run, words, said)
    if place := _place(journal, run, trace):
        after = "mend {}, line {}".format(*place)
    return Failure(
        said.get("message") or run.reason or "it ended without a word",
        said.get("hint", ""),
        tuple(trace.splitlines()[-TRACE:]),
        _log(journal, run),
        progress.step,
        typed,
        after,
    )


def told(failure: Failure) -> dict[str, Any]:
    """As plain JSON types."""
    return asdict(failure)


def lines(run: Run, failure: Failure) -> Iterator[str]:
    """What people read."""
    yield f"{run.id} {run.status} at step {failure.step:,} (exit code {run.exit_code})"
    yield ""
    yield from (f"  {text}" for text in failure.trace)
    if not (failure.trace and failure.trace[-1].endswith(failure.message)):
        yield f"  {failure.message}"
    if failure.hint:
        yield f"  → {failure.hint}"
    if failure.log:
        yield from (
            "",
            "the end of its log:",
            *(f"  | {table.plain(text)}" for text in failure.log),
        )
    yield ""
    yield from [titled("first", failure.after)] * bool(failure.after)
    yield from [command("next", failure.command)] * bool(failure.command)


def _log(journal: Journal, run: Run) -> tuple[str, ...]:
    log = journal.folder(run.id) / "log.txt"
    if not log.exists():
        return ()
    return tuple(log.read_text(errors="replace").splitlines()[-LINES:])


def _place(journal: Journal, run: Run, trace: str) -> tuple[str, str] | None:
    """The file and line to mend: the last of the project's own, which may have called a library."""
    found = _FILE.findall(trace)
    with suppress(JournalError):
        place = journal.plan(run.id).place
        tree = journal.root / "snapshots" / str(place.snapshot) / "tree"
        roots = (tree, Path(place.project))
        mine = [one for one in found if any(_lies(root, one[0]) for root in roots)]
        found = mine or found
    return found[-1] if found else None


def _lies(root: Path, file: str) -> bool:
    """It is a file of that folder, but of no environment in it; a traceback names it from there."""
    path = root / file
    return path.is_file() and path.is_relative_to(root) and "site-packages" not in path.parts


def _next(journal: Journal, run: Run, words: list[str], said: dict[str, Any]) -> tuple[str, str]:
    """What to do, and what to type then; by the exit code."""
    match run.exit_code:
        case 1:
            return "mend the recipe", line(words)
        case 2 if said.get("type") == "DataError":
            return "mend the data", line(words)
        case 2:
            changes = _SETTING.match(said.get("hint", ""))
            if changes is None or changes[0] in words:
                return "change what the message names", ""
            return "", line(words, [changes[0]])
        case 4:
            return "", line(words, _gentler(journal.plan(run.id).optim))
        case _:  # the machine gave up: the checkpoints are good
            return "", onward(journal, run)


def _gentler(optim: Optim) -> list[str]:
    """A smaller learning rate, and gradients no longer than 1; L-BFGS takes them as they are."""
    rate = [f"optim.lr={optim.lr / GENTLER:.3g}"]
    return rate if optim.name == "lbfgs" else [*rate, f"optim.clip={min(1, optim.clip or 1):g}"]
