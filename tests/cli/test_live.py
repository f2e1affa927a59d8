import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from turnaround.cli.views.live import Screen
from turnaround.cli.views.progress import Progress
from turnaround.forecast.eta import Forecast
from turnaround.spec import Budget, Event

MakeEvent = Callable[..., Event]
FOLDER = Path("/srv/home/runs/seq2seq-aaaaa")


@pytest.fixture
def picture(event: MakeEvent, training: Callable[[], list[Event]]) -> Callable[..., str]:
    """What the screen shows of a run that is half through."""

    def draw(width: int, *more: Event, so_far: list[Event] | None = None) -> str:
        console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
        forecast = Forecast({"goal": {"steps": 3000}}, list, now=0.0)
        screen = Screen("seq2seq-aaaaa", Progress(Budget(steps=3000), forecast), FOLDER, console)
        started = event("status", status="RUNNING", reason="")
        past = training() if so_far is None else so_far
        for one in [started, *(replace(old, time=started.time + 72) for old in past), *more]:
            screen.take(one)
        screen._clock = lambda: started.time + 72
        console.print(screen)
        return console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO

    return draw


def test_a_run_half_through_is_one_picture(picture: Callable[..., str], event: MakeEvent) -> None:
    assert picture(72, event("warning", message="rank 1 is slow")) == (
        "seq2seq-aaaaa  RUNNING  1m12s\n"
        "━━━━━━━━━━━━━━━━━━━━━━━━                       54%  56s left (39s–1m20s)\n"
        "step 1,620/3,000  loss 0.8131  1,834 examples/s  epoch 2.0\n"
        "valid at 1,500: loss 0.6412  bleu 71.31  best at 1,500\n"
        "! rank 1 is slow\n"
        "1 × cpu · /srv/home/runs/seq2seq-aaaaa\n"
    )


def test_forty_columns_are_enough(picture: Callable[..., str]) -> None:
    lines = picture(40).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines == [
        "seq2seq-aaaaa  RUNNING  1m12s",
        "━━━━━━━━━━━━━╸             54%  56s left",
        "step 1,620/3,000  loss 0.8131",
        "1,834 examples/s  epoch 2.0",
        "valid at 1,500: loss 0.6412  bleu 71.31",
        "best at 1,500",
        "1 × cpu · /srv/home/runs/seq2seq-aaaaa",
    ]


def test_a_run_that_waits_says_why(picture: Callable[..., str], event: MakeEvent) -> None:
    waits = event(
        "status", status="QUEUED", reason="waits for 2 CPU: 0 free, held by seq2seq-bbbbb"
    )
    assert picture(72, waits, so_far=[]) == (
        "seq2seq-aaaaa  QUEUED  1m12s\n"
        "waits for 2 CPU: 0 free, held by seq2seq-bbbbb\n"
        "/srv/home/runs/seq2seq-aaaaa\n"
    )


def test_the_clock_stops_with_the_run(picture: Callable[..., str], event: MakeEvent) -> None:
    assert picture(72, event("status", status="SUCCEEDED", reason="")).startswith(
        "seq2seq-aaaaa  SUCCEEDED  0.0s\n"
    )


def test_markup_in_a_message_is_only_text(picture: Callable[..., str], event: MakeEvent) -> None:
    assert "! [red]not red[/red]" in picture(72, event("notice", message="[red]not red[/red]"))
