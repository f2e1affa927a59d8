"""`turnaround plan --target`: from runs in the journal to the point that pays."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PLAN
from turnaround.cli import worth
from turnaround.errors import ConfigError, PlanError
from turnaround.forecast.past import read
from turnaround.journal import Journal
from turnaround.spec import Data, Event, Inventory, Layout, Plan, Status

NOISE = {"noise/scale": 200.0, "noise/low": 150.0, "noise/high": 260.0}


def events(plan: Plan, each: float, noise: bool = True) -> list[Event]:
    """A run of 300 steps whose BLEU rises by ten every hundred."""
    told: list[tuple[str, dict[str, Any]]] = []
    for step in (1, 100, 200, 300):
        rows = {"build": 1.0, "compute": each * step, "communicate": 0.1 * each * step}
        told.append(("ledger", {"step": step, "began": 0.0, "rows": rows}))
        values = {"loss": 3 - step / 200, "bleu": step / 10}
        told.append(("metrics", {"split": "valid", "step": step, "values": values}))
        if noise:
            told.append(("metrics", {"split": "train", "step": step, "values": NOISE}))
    return [Event(kind, data, time.time(), attempt=1) for kind, data in told]


@pytest.fixture
def known(journal: Journal, submit: Callable[..., Any]) -> Callable[..., None]:
    """A run of that batch on that many devices."""

    def make(run: str, batch: int, each: float, devices: int = 1, noise: bool = True) -> None:
        layout = Layout("ddp", devices) if devices > 1 else Layout()
        plan = replace(PLAN, data=Data(batch=batch), layout=layout)
        submit(run, Status.SUCCEEDED, plan)
        journal.append(run, *events(plan, each, noise))

    return make


def said(journal: Journal, have: int = 4, **wish: Any) -> str:
    wishes = worth.Wish(**wish)
    return "\n".join(worth.lines(PLAN, journal, Inventory(have, 0), wishes))


def test_a_run_tells_of_steps_noise_and_scores() -> None:
    told = read(PLAN, events(PLAN, 0.02))
    assert told.step is not None
    assert told.step.seconds == pytest.approx(0.022)
    assert told.step.wait == pytest.approx(0.002)
    assert told.scale is not None
    assert told.scale.middle == 200
    assert told.reached("bleu", 15.0, up=True) == pytest.approx(150)
    assert told.reached("loss", 2.25, up=False) == pytest.approx(150)
    assert told.reached("bleu", 31.0, up=True) is None
    assert told.best("bleu", up=True) == 30


def test_the_front_and_the_words_of_the_best(journal: Journal, known: Callable[..., None]) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    known("seq2seq-bbbbb", 128, 0.036)
    known("seq2seq-ccccc", 128, 0.022, devices=2)
    text = said(journal, target="bleu=20", devices=8)
    assert "bleu 20 after 200 steps of 64; 3 timed runs, of up to 2 devices" in text
    assert "noise       scale 200 examples (150–260)" in text
    assert "fewer than 1/4.1 of the steps of 64" in text
    assert "more than 2 devices were never timed" in text
    assert "layout=ddp layout.replicate=" in text.splitlines()[-1]
    assert text.count("→") == 1


def test_a_deadline_nobody_meets_shows_the_nearest(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    text = said(journal, target="bleu=20", by="1s")
    assert "\nnearest " in text
    assert "→" not in text


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bleu=40", r"bleu=40 was never seen: the best is 30"),
        ("chrf=40", r"no run reported chrf"),
    ],
)
def test_what_was_never_seen_is_refused(
    journal: Journal, known: Callable[..., None], target: str, message: str
) -> None:
    known("seq2seq-aaaaa", 64, 0.020)
    with pytest.raises(PlanError, match=message):
        said(journal, target=target)


def test_without_a_noise_scale_it_says_how_to_get_one(
    journal: Journal, known: Callable[..., None]
) -> None:
    known("seq2seq-aaaaa", 64, 0.020, noise=False)
    with pytest.raises(PlanError) as caught:
        said(journal, target="bleu=20")
    assert "update.accumulate=2" in str(caught.value.hint)


def test_times_of_the_day_and_spans() -> None:
    now = datetime(2026, 1, 1, 22, 0)
    assert worth.seconds("07:00", now) == 9 * 3600
    assert worth.seconds("22:30", now) == 1800
    assert worth.seconds("2h", now) == 7200
    for wrong in ("7", "25h3", "soon"):
        with pytest.raises(ConfigError):
            worth.seconds(wrong, now)
    with pytest.raises(ConfigError):
        worth.parse("bleu")


def test_the_verb_takes_its_options(ask: Callable[..., Any], tmp_path: Path) -> None:
    done = ask("plan", "recipe=seq2seq", "--target", "bleu=30")
    assert done.code == 2
    assert "no run of this recipe has told its gradient noise scale" in done.err
