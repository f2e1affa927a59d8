"""The one place where an exception becomes a message on standard error and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import typer

from turnaround import errors
from turnaround.errors import LaunchError, TurnaroundError

INTERRUPTED = 130  # as shells say it: 128 + SIGINT
NO_READER = 141  # 128 + SIGPIPE: `turnaround ls | head -1`
BUG = 70  # EX_SOFTWARE: not the user's fault
UNWRITTEN = (errno.ENOSPC, errno.EIO)  # a full disk, a broken one, a terminal that is gone


def leave(act: Callable[[], int | None], debug: bool) -> int:
    """Act, and answer the exit code; whatever went wrong has been said on standard error."""
    _open()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper at the door
    try:
        code = act() or 0
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _nobody_reads()
    except SystemExit as left:
        return _nobody_reads() if isinstance(left.__context__, BrokenPipeError) else _code(left)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _explain(error, debug)
    finally:
        _drop()


def _open() -> None:
    """Streams that were closed (`>&-`) are there and hold nothing, lest another file be one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  # while we live


def _drop() -> None:
    """What a full disk does not take is not tried again at exit, which would change the code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _explain(error: Exception, debug: bool) -> int:
    if isinstance(error, TurnaroundError):
        say(f"{_kind(error)}: {error}")
        return error.exit_code
    if isinstance(error, typer.TyperException):
        say(_usage(error))
        return 2
    if isinstance(error, OSError) and error.errno in UNWRITTEN:
        say(_unwritten(error))
        return LaunchError.exit_code
    if not debug:
        say(_bug(error))
    return BUG


def _kind(error: TurnaroundError) -> str:
    """Its name in the tree of errors.py: a room's own finer kinds mean nothing to a user."""
    return next(c.__name__ for c in type(error).__mro__ if c.__module__ == errors.__name__)


def say(text: str) -> None:
    """A message on standard error, its first word red on a terminal that it cannot steer."""
    text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    name, colon, rest = text.partition(":")
    if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
        name = typer.style(name, fg="red", bold=True)
    with contextlib.suppress(OSError):  # the exit code says it too
        print(name + colon + rest, file=sys.stderr)


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "turnaround"
    return f"UsageError: {path}: {error.format_message()}\n  → {path} --help"


def _unwritten(error: OSError) -> str:
    """A matter of the machine."""
    what = error.filename or "the output"
    hint = "see to that disk, or to where the output goes; turnaround gc frees what no run needs"
    return f"LaunchError: {what}: {error.strerror}\n  → {hint}"


def _bug(error: Exception) -> str:
    """One line for a mistake of ours, and where the rest is."""
    last = " ".join(f"{type(error).__name__}: {error}".split())
    return (
        f"Bug: turnaround failed: {last}\n  → {_saved()} has the traceback; --debug shows it here"
    )


def _saved() -> Path:
    """The traceback at hand as a file below the home folder, or /tmp where that is read-only."""
    from turnaround.journal import home

    name = f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (home() / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / name).write_text(traceback.format_exc())
            return folder / name
        except OSError:
            continue
    return Path("nowhere")


def _nobody_reads() -> int:
    """Nothing more is written, not even at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER


def _code(left: SystemExit) -> int:
    return left.code if isinstance(left.code, int) else 1
