"""The pages of a sweep of fifty trials: its report, and MLflow's, in a real browser."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from tests.chromium import MARKS, TRAINING, serving, shown
from tests.projects import make_project
from tests.sweeps import Night, asked
from tests.workshop import make_store
from turnaround.sweep import pages, report
from turnaround.tracking.start import ENVIRON

SPACE = ("optim.lr=tag(log,interval(0.001,1))", "recipe.slope=choice(1.0,2.0,3.0)")
LINES = "return document.querySelectorAll('.js-plotly-plot .trace path.js-line').length"
PARALLEL = "return document.querySelectorAll('.parcoords').length"
EXPAND = """
let at = [...document.querySelectorAll('a')].find((link) => link.innerText.startsWith('sweep-'));
for (let up = 0; at && up < 8; up++) {
    at = at.parentElement;
    const plus = [...at.querySelectorAll('button')].find((button) => !button.innerText);
    if (plus) { plus.click(); return 1; }
}
return 0;
"""  # trials are folded below their sweep

pytestmark = MARKS


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The sweep, over and recorded."""
    root = tmp_path_factory.mktemp("night")
    project = make_project(root / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TURNAROUND_HOME", str(root / "home"))
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        file = project / "mlflow.db"
        make_store(file)
        words = ("tracking=mlflow", f"tracking.uri=sqlite:///{file}", *SPACE)
        settings: dict[str, Any] = {"name": "asha", "trials": 50, "sampler": "random"}
        night = Night.of(asked(project, root / "home", *words, **settings), root / "home")
        night.drive()
        from turnaround.tracking.rounds import Rounds

        found = report.made(night.hand.journal, night.sweep, importance=True)
        pages.write(found, night.hand.journal.folder(night.sweep) / "report")
        rounds = Rounds(night.home, f"sqlite:///{file}")
        while rounds.go():
            pass
        yield night


@pytest.fixture(scope="module")
def server(night: Night) -> Iterator[str]:
    project = Path(night.hand.journal.plan(night.sweep).place.project)
    with serving(project) as url:
        yield url


def places(night: Night) -> dict[str, dict[str, str]]:
    """Where the sweep and its trials are in MLflow."""
    files = night.home.glob("runs/*/tracking.json")
    return {file.parent.name: json.loads(file.read_text()) for file in files}


def trials(night: Night) -> list[str]:
    found = places(night)
    return [place["run_id"] for run, place in found.items() if run != night.sweep]


def until(browser: webdriver.Chrome, script: str, enough: int) -> None:
    deadline = time.monotonic() + 150
    while (found := browser.execute_script(script)) < enough:
        assert time.monotonic() < deadline, f"{found} of {enough}: {script}"
        time.sleep(0.3)


def test_the_report_shows_every_trial_the_curves_and_the_winner(
    night: Night, browser: webdriver.Chrome, pictures: Path
) -> None:
    page = night.home / "runs" / night.sweep / "report" / "report.html"
    browser.get(page.as_uri())
    browser.save_screenshot(str(pictures / "sweep-report.png"))
    assert browser.execute_script("return document.querySelectorAll('tr').length") == 51
    assert browser.execute_script("return document.querySelectorAll('svg').length") == 4
    winner = browser.execute_script("return document.querySelector('.winner').innerText")
    best = night.driver().state.best(2)
    assert best is not None
    assert winner.split()[0] == str(best.number)
    for graph in browser.execute_script(
        "return [...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().right)"
    ):
        assert graph <= 1600


def test_the_chart_page_shows_the_curves_of_trials_once_the_sweep_is_unfolded(
    night: Night, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    experiment = places(night)[night.sweep]["experiment_id"]
    browser.get(f"{server}/#/experiments/{experiment}/runs?{TRAINING}&compareRunsMode=CHART")
    shown(browser, night.sweep, "best/loss")
    until(browser, EXPAND, 1)
    shown(browser, "valid/loss", "slope=")
    try:
        until(browser, LINES, 5)
    finally:
        browser.save_screenshot(str(pictures / "sweep-chart.png"))


def test_the_compare_page_draws_what_differs_against_the_scores(
    night: Night, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    experiments = urllib.parse.quote(json.dumps([places(night)[night.sweep]["experiment_id"]]))
    runs = urllib.parse.quote(json.dumps(trials(night)))
    browser.get(f"{server}/#/compare-runs?runs={runs}&experiments={experiments}&{TRAINING}")
    shown(browser, "Comparing 50 Runs from 1 Experiment", "Parallel Coordinates Plot")
    until(browser, PARALLEL, 1)
    plotted = "return document.querySelector('.js-plotly-plot').innerText"
    axes = browser.execute_script(plotted).split()
    assert {"optim.lr", "recipe.slope", "valid/loss"} <= set(axes)
    browser.save_screenshot(str(pictures / "sweep-compare.png"))
