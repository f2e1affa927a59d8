import pytest

from turnaround.cli.views import table as tables
from turnaround.cli.views.table import table

COLUMNS = ("id", "age", "status", "reason")
ROWS = [("a", "2h", "FAILED", "it broke in the night"), ("bbb", "3h", "RUNNING", "")]


def seen_on(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    monkeypatch.setattr(tables, "terminal_width", lambda: width)


def test_nothing_is_cut_when_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_on(monkeypatch, None)
    assert table(COLUMNS, ROWS, spare=("age",)) == (
        "id   age  status   reason\na    2h   FAILED   it broke in the night\nbbb  3h   RUNNING"
    )


def test_a_narrow_terminal_loses_spare_columns_and_then_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen_on(monkeypatch, 30)
    assert table(COLUMNS, ROWS, spare=("age",)) == (
        "id   status   reason\na    FAILED   it broke in the…\nbbb  RUNNING"
    )


def test_a_terminal_gets_no_empty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_on(monkeypatch, 80)
    assert table(("id", "name", "age"), [("a", "", "2h")], spare=("name",)) == "id  age\na   2h"


def test_wide_letters_keep_the_columns_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_on(monkeypatch, None)
    assert table(("name", "id"), [("日本", "x"), ("ab", "y")]) == "name  id\n日本  x\nab    y"


def test_a_cell_is_one_line_and_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_on(monkeypatch, None)
    assert table(("reason",), [("one\ntwo\x1b[2J\ttabs",)]) == "reason\none two[2J tabs"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_on(monkeypatch, 80)
    monkeypatch.setattr(tables, "coloured", lambda: True)
    assert "\x1b[31mFAILED\x1b[0m" in table(COLUMNS, ROWS)


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_no_color_and_dumb_terminals_are_heeded(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, "dumb")
    assert not tables.coloured()
