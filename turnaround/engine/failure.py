"""What went wrong, for whoever has to mend it: a message, what to do, their lines, an exit code.

    explain(error, code) == {"message": …, "hint": …, "traceback": …, "exit_code": 1}

Every exception ends here once, at the door of the worker.
"""

from __future__ import annotations

import bdb
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch.nn import Parameter

import turnaround
from turnaround.errors import TurnaroundError

MEMORY = ("DefaultCPUAllocator", "out of memory")  # in a RuntimeError: it means MemoryError
PEERS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer")
BLAMED = 8  # examples of a batch that are named
_OURS = Path(turnaround.__file__).parent
_OTHERS = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))


class Signalled(BaseException):
    """A signal came while there was nothing to save."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(f"interrupted by {name} before there was anything to save")
        self.exit_code = 128 + number  # as shells count


def explain(error: BaseException, code: Path) -> dict[str, Any]:
    """The `error` event of what reached the door; `code` is where the user's files are."""
    kind = f"{type(error).__name__}: {error}"
    if isinstance(error, TurnaroundError):
        said = _said(error.message, error.hint, error.exit_code)
        return {**said, "type": type(error).__name__}
    if isinstance(error, Signalled):
        return _said(str(error), "", error.exit_code)
    if isinstance(error, bdb.BdbQuit):
        return _said("the debugger was left", "", 130)
    if isinstance(error, dist.DistError) or _says(error, PEERS):
        return _said(f"another rank was lost ({kind})", "that rank's error says why", 3)
    trace = trimmed(error, code)
    if isinstance(error, SystemExit):
        return _said(f"the recipe called sys.exit({error.code})", "", 1, trace)
    if isinstance(error, MemoryError) or _says(error, MEMORY):
        hint = "choose a smaller data.batch, or the same in more pieces: update.accumulate"
        return _said(f"out of memory: {error}", hint, 1, trace)
    return _said(kind, "", 1, trace)


def trimmed(error: BaseException, code: Path) -> str:
    """The traceback's end, and the user's own files under the names they have in the project.

    One without any line of the user's is ours to mend and shown whole.
    """
    whole = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = whole
    while part is not None:
        mine = [frame for frame in part.stack if _users(frame.filename)]
        end = [frame for frame in part.stack[-1:] if frame not in mine]
        shown = [*mine, *end] if mine or part is not whole else part.stack
        if isinstance(error, SyntaxError) and part.filename:  # its line is in no frame
            part.filename, shown = _short(part.filename, code), mine
        part.stack = traceback.StackSummary.from_list([_renamed(frame, code) for frame in shown])
        part = part.__cause__ or part.__context__
    return "".join(whole.format()).rstrip()


def unsound(parameters: Mapping[str, Parameter], numbers: list[int]) -> str:
    """Which of a rank's parameters is not finite, or else which examples a bad loss came from."""
    for name, parameter in parameters.items():
        if not parameter.isfinite().all():
            return f"parameter {name} is not finite"
    listed = ", ".join(map(str, numbers[:BLAMED])) + (", …" if len(numbers) > BLAMED else "")
    for name, parameter in parameters.items():
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            return f"the gradient of {name} is not finite on training examples {listed}"
    return f"all parameters are finite; look at training examples {listed}"


def _said(message: str, hint: str, exit_code: int, trace: str = "") -> dict[str, Any]:
    return {"message": message, "hint": hint, "traceback": trace, "exit_code": exit_code}


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _users(file: str) -> bool:
    return not file.startswith(("<frozen", *_OTHERS)) and not Path(file).is_relative_to(_OURS)


def _renamed(frame: traceback.FrameSummary, code: Path) -> traceback.FrameSummary:
    file = _short(frame.filename, code)
    return traceback.FrameSummary(file, frame.lineno, frame.name, line=frame.line)


def _short(file: str, code: Path) -> str:
    """Relative to the user's code, or to where its package is installed."""
    for root in (str(code), *_OTHERS):
        if file.startswith(f"{root}/"):
            return file.removeprefix(f"{root}/")
    return file
