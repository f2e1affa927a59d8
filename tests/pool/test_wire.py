"""Requests and replies over a unix socket."""

from pathlib import Path
from typing import Any

import pytest

from turnaround.errors import JournalError, LaunchError
from turnaround.pool.messages import wire


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request["op"] == "refuse":
        raise JournalError("run x is over", "turnaround ls")
    if request["op"] == "break":
        raise KeyError("ours")
    return {"echo": request["op"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    wire.serve(tmp_path / "s", answer)
    return tmp_path / "s"


def test_a_request_is_answered(path: Path) -> None:
    assert wire.ask(path, {"op": "hello"}) == {"echo": "hello"}


def test_an_error_arrives_as_the_class_it_was_raised_as(path: Path) -> None:
    with pytest.raises(JournalError) as caught:
        wire.ask(path, {"op": "refuse"})
    assert str(caught.value) == "run x is over\n  → turnaround ls"


def test_a_bug_in_the_server_is_told_and_does_not_end_it(path: Path) -> None:
    with pytest.raises(LaunchError, match="KeyError"):
        wire.ask(path, {"op": "break"})
    assert wire.ask(path, {"op": "again"}) == {"echo": "again"}


def test_a_new_server_takes_the_name_over(path: Path) -> None:
    wire.serve(path, lambda request: {"echo": "new"})
    assert wire.ask(path, {"op": "hello"}) == {"echo": "new"}


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        wire.ask(tmp_path / "none", {"op": "hello"})
