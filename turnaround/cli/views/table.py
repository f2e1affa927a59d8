"""Columns of text: whole when piped, fitted to the width of a terminal; and titled lines."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

import typer
from rich.cells import cell_len, set_cell_size

GAP = "  "
WIDEST = 100  # columns of titled lines, however wide the terminal is
INDENT = 12  # of what their titles stand before
COLOURS = {"SUCCEEDED": "green", "RUNNING": "cyan", "FAILED": "red", "STOPPED": "yellow"}


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()) -> str:
    """Headed columns. A terminal gets what fits: `spare` ones go first, then the end."""
    cells = [list(columns), *([plain(cell) for cell in row] for row in rows)]
    width = terminal_width()
    if width is not None:
        _fit(cells, width, spare)
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths, width) for row in cells)


def _fit(cells: list[list[str]], width: int, spare: Sequence[str]) -> None:
    """Leave out columns that nobody filled, and then those that can be spared."""
    filled = [any(column) for column in zip(*cells[1:], strict=True)]
    for column in [name for name, full in zip(list(cells[0]), filled, strict=False) if not full]:
        _drop(cells, column)
    for column in spare:
        if _width(cells) > width and column in cells[0]:
            _drop(cells, column)


def plain(text: str) -> str:
    """One line of it, without control characters."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def terminal_width() -> int | None:
    """Columns of the terminal; none when nobody looks."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def coloured() -> bool:
    """Standard output is a terminal that shows colours, and nobody asked for none."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def wrapped(title: str, text: str, width: int) -> str:
    """A titled line, broken where it is too wide, its rest below its beginning."""
    indent = " " * INDENT
    return textwrap.fill(
        plain(text),
        max(width, 3 * INDENT),
        initial_indent=f"{title:<{INDENT}}",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _width(cells: list[list[str]]) -> int:
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _drop(cells: list[list[str]], column: str) -> None:
    at = cells[0].index(column)
    for row in cells:
        del row[at]


def _line(row: list[str], widths: list[int], width: int | None) -> str:
    line = GAP.join(
        set_cell_size(cell, wide) for cell, wide in zip(row, widths, strict=True)
    ).rstrip()
    if width is not None and cell_len(line) > width:
        line = set_cell_size(line, width - 1) + "…"
    return _paint(line, row) if coloured() else line


def _paint(line: str, row: list[str]) -> str:
    for cell in row:
        if colour := COLOURS.get(cell):
            return line.replace(cell, typer.style(cell, fg=colour), 1)
    return line
