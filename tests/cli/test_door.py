import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from turnaround.cli import door
from turnaround.errors import DataError, Interrupted, LaunchError, PlanError
from turnaround.journal import Journal
from turnaround.launch.dashboard import Silent


def raising(error: BaseException) -> Callable[[], int | None]:
    def act() -> int | None:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanError("no"), 2),
        (DataError("no"), 2),
        (Interrupted("no"), 75),
        (KeyboardInterrupt(), 130),
        (typer.Abort(), 130),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    assert door.leave(raising(error), debug=False) == code


@pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (75, 75)])
def test_what_a_verb_returns_is_the_exit_code(answer: int | None, code: int) -> None:
    assert door.leave(lambda: answer, debug=False) == code


def test_an_error_is_told_in_three_parts(capsys: pytest.CaptureFixture[str]) -> None:
    door.leave(raising(PlanError("asked for 8 devices, found 2", "choose 2")), debug=False)
    assert capsys.readouterr() == ("", "PlanError: asked for 8 devices, found 2\n  → choose 2\n")


def test_a_rooms_own_kind_is_told_as_the_one_it_belongs_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert door.leave(raising(Silent("nobody answers")), debug=False) == LaunchError.exit_code
    assert capsys.readouterr().err == "LaunchError: nobody answers\n"


def test_debug_shows_the_whole_traceback_too(capsys: pytest.CaptureFixture[str]) -> None:
    door.leave(raising(PlanError("no", "yes")), debug=True)
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):")
    assert told.endswith("PlanError: no\n  → yes\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_takes_no_more_is_no_mistake_of_ours(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (None, "/data/journal.db"):
        error = OSError(number, os.strerror(number), file)
        assert door.leave(raising(error), debug=False) == LaunchError.exit_code
        told = capsys.readouterr().err
        assert told.startswith(f"LaunchError: {file or 'the output'}: {os.strerror(number)}\n  → ")


def test_a_mistake_of_ours_is_one_line_and_a_file(
    journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.leave(raising(ZeroDivisionError("division\nby zero")), debug=False) == 70
    told = capsys.readouterr().err
    file = Path(told.partition("→ ")[2].partition(" has")[0])
    assert told == (
        "Bug: turnaround failed: ZeroDivisionError: division by zero\n"
        f"  → {file} has the traceback; --debug shows it here\n"
    )
    assert file.parent == journal.root / "logs"
    assert "ZeroDivisionError" in file.read_text()


def test_a_home_that_cannot_be_written_does_not_hide_the_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TURNAROUND_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    door.leave(raising(ZeroDivisionError()), debug=False)
    assert f"  → {tmp_path}/bug-" in capsys.readouterr().err


def test_interrupted_is_what_shells_say() -> None:
    assert door.INTERRUPTED == 128 + signal.SIGINT


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    door.leave(raising(PlanError("recipe=\x1b[2Jx is not there")), debug=False)
    assert capsys.readouterr().err == "PlanError: recipe=\\x1b[2Jx is not there\n"
