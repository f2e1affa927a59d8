import io

import pytest
from rich.console import Console

from turnaround.cli.running import attach
from turnaround.cli.views.lines import Lines
from turnaround.cli.views.live import Screen
from turnaround.cli.views.progress import Progress
from turnaround.journal import Journal, Run


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "term", "view"),
    [
        (Terminal(), "xterm", Screen),
        (Terminal(), "dumb", Lines),
        (Terminal(), "", Lines),
        (io.StringIO(), "xterm", Lines),
    ],
)
def test_a_picture_is_for_terminals_that_can_draw(
    journal: Journal,
    submit,
    monkeypatch: pytest.MonkeyPatch,
    out: io.StringIO,
    term: str,
    view: type,
) -> None:
    run: Run = submit("seq2seq-aaaaa")
    monkeypatch.setenv("TERM", term)
    assert type(attach._view(journal, run, Progress(), out)) is view


def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    Console(file=out).print("[red]x[/red]")
    assert out.getvalue() == "x\n"
