"""What is told about a sweep, and its pages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.sweeps import Night, asked, bowl
from turnaround.spec import Event, Plan, Status
from turnaround.sweep import pages, picture, report

LR = "optim.lr=tag(log,interval(0.001,1))"


def some(plan: Plan, step: int) -> float:
    if plan.optim.lr > 0.3:
        raise ArithmeticError("<too> | steep")
    return bowl(plan, step)


def test_a_report_names_the_winner_its_words_and_what_was_not_done(
    project: Path, own: Path
) -> None:
    night = Night.of(asked(project, own, LR, name="asha", trials=12), own, some)
    night.drive()
    found = report.made(night.hand.journal, night.sweep)
    winner = found.winner
    assert winner is not None
    assert winner.status == "trained"
    assert winner.score == min(n.score for n in found.lines if n.status == "trained" and n.score)
    assert shlex.split(winner.command)[:3] == ["turnaround", "run", "recipe=steady"]
    assert f"optim.lr={winner.values['optim.lr']}" in winner.command
    assert {line.status for line in found.undone} <= {"paused", "FAILED"}
    assert all(line.reason for line in found.lines if line.status == "FAILED")
    assert re.match(r"\d+ of 12 trials trained, ", found.headline)
    assert found.alone is not None


def test_settings_that_changed_on_the_way_are_told_step_by_step(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, LR, name="pbt", trials=8, rungs=3), own)
    driver = night.drive()
    found = report.made(night.hand.journal, night.sweep)
    copied = [line for line in found.lines if line.lineage]
    assert {line.number for line in copied} == {
        t.number for t in driver.state.trials.values() if t.parent is not None
    }
    assert re.match(r"lr=\S+ to step (27|63), ", copied[0].lineage)
    whole = [line for line in copied if line.status == "trained"]
    assert all([step for step, _ in line.curve] == [*range(9, 91, 9)] for line in whole)


def test_pages_hold_curves_and_survive_strange_words(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, LR, name="random", trials=12), own, some)
    night.drive()
    found = report.made(night.hand.journal, night.sweep)
    page = pages.write(found, own / "report")
    html, text = page.read_text(), (own / "report" / "report.md").read_text()
    assert html.count("<svg") == 3
    assert "&lt;too&gt; | steep" in html
    assert "<too> \\| steep" in text
    for name in ("curves", "progress", "optim-lr"):
        assert f"{name}.svg" in text
        ElementTree.parse(own / "report" / f"{name}.svg")


def test_a_sweep_without_results_has_a_report_too(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,1"), own)
    found = report.made(night.hand.journal, night.sweep)
    assert found.winner is None
    assert found.headline == "0 of 2 trials trained, 2 not run"
    assert pages.write(found, own / "report").exists()


def test_a_trial_that_was_removed_stays_in_the_report(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,1", seeds=2), own)
    journal = night.drive().journal
    before = report.made(journal, night.sweep)
    for run in before.lines[0].runs:
        journal.forget(run)
    found = report.made(journal, night.sweep, importance=True)
    assert [line.score for line in found.lines] == [line.score for line in before.lines]
    assert [len(line.curve) for line in found.lines] == [0, 10]
    assert found.alone is not None
    assert pages.write(found, own / "report").exists()
    for run in found.lines[1].runs:
        journal.forget(run)
    assert report.made(journal, night.sweep).alone is None


def test_what_a_driver_did_before_it_was_killed_counts(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,1"), own)
    journal = night.hand.journal
    begun = list(journal.events(night.sweep))[-1].time
    said = [
        Event("progress", {"step": 1, "steps": 2}, begun + 36_000),
        Event("status", {"status": Status.RUNNING}, begun + 40_000),  # another
        Event("status", {"status": Status.STOPPED}, begun + 40_100),
    ]
    journal.append(night.sweep, *said)
    assert report.made(journal, night.sweep).wall == pytest.approx(36_100)


def test_pictures_bear_what_cannot_be_drawn() -> None:
    nan = float("nan")
    for svg in (
        picture.curves({"a": [(1, nan)], "b": []}, set(), "x"),
        picture.curves({"a": [(1, 2.0)]}, {"a"}, "x"),
        picture.scatter([], "x", "y", log=True),
        picture.scatter([(0.0, 1.0, True)], "x", "y", log=True),
        picture.progress([(1, 2.0, 2.0), (2, nan, 2.0)], "x"),
    ):
        ElementTree.fromstring(svg)
