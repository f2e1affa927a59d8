"""MLflow's pages of two runs in a real browser, from a plain `mlflow ui` in the project's folder.

TURNAROUND_SCREENSHOTS=/some/folder keeps the pictures.
"""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.chromium import MARKS, TRAINING, serving, shown
from tests.workshop import Workshop, make_store
from turnaround.spec import Optim
from turnaround.tracking.start import ENVIRON

CURVES = """
const drawn = (plot) => [...plot.querySelectorAll('.trace path.js-line')];
const lines = (plot) => drawn(plot).map((line) => line.getAttribute('d'));
const plots = [...document.querySelectorAll('.js-plotly-plot')];
const cards = plots.map((plot) => [plot, plot.closest('[data-testid]')]);
const shown = cards.filter(([plot, card]) => card && card.innerText.startsWith('valid/bleu'));
return shown.map(([plot, card]) => [card.innerText, lines(plot)]);
"""

pytestmark = MARKS


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Two recorded runs that differ in name, learning rate and curve."""
    workshop = Workshop(tmp_path_factory.mktemp("pages"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        make_store(workshop.database)
        from turnaround.tracking.rounds import Rounds

        for run, name, height in (("seq2seq-22222", "low", 0.5), ("seq2seq-33333", "high", 0.9)):
            workshop.submit(run, workshop.plan(name=name, optim=Optim(lr=height / 100)))
            workshop.train(run, range(1, 101), height=height)
            workshop.end(run)
        rounds = Rounds(workshop.home, workshop.uri)
        while rounds.go():
            pass
        yield workshop


@pytest.fixture(scope="module")
def server(workshop: Workshop) -> Iterator[str]:
    """The address of a plain `mlflow ui`, started in the project's folder with nothing said."""
    with serving(workshop.project) as url:
        yield url


def at(workshop: Workshop, run: str) -> dict[str, str]:
    """Where the run is in MLflow."""
    place: dict[str, str] = json.loads((workshop.journal.folder(run) / "tracking.json").read_text())
    return place


def curves(browser: webdriver.Chrome) -> tuple[str, list[Any]]:
    """The text and the lines of the chart of valid/bleu, once it is drawn."""
    deadline = time.monotonic() + 150
    while True:
        for text, lines in browser.execute_script(CURVES):
            drawn = [line for line in lines if line and line.count("L") + line.count("C") > 3]
            if len(drawn) >= 2:
                return text, drawn
        assert time.monotonic() < deadline, "no chart of valid/bleu with two lines"
        time.sleep(0.3)


def test_the_chart_page_shows_the_curves_of_both_runs(
    workshop: Workshop, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    experiment = at(workshop, "seq2seq-22222")["experiment_id"]
    browser.get(f"{server}/#/experiments/{experiment}/runs?{TRAINING}&compareRunsMode=CHART")
    text, lines = curves(browser)
    browser.save_screenshot(str(pictures / "chart.png"))
    assert "low (valid/bleu)" in text
    assert "high (valid/bleu)" in text
    assert len(set(lines)) >= 2


def test_the_compare_page_shows_params_and_metrics_of_both_runs(
    workshop: Workshop, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    places = [at(workshop, run) for run in ("seq2seq-22222", "seq2seq-33333")]
    runs = urllib.parse.quote(json.dumps([place["run_id"] for place in places]))
    experiments = urllib.parse.quote(json.dumps([places[0]["experiment_id"]]))
    browser.get(f"{server}/#/compare-runs?runs={runs}&experiments={experiments}&{TRAINING}")
    lines = shown(browser, "optim.lr 0.005 0.009", "valid/bleu").splitlines()
    browser.save_screenshot(str(pictures / "compare.png"))
    assert "Comparing 2 Runs from 1 Experiment" in lines
    assert "recipe.width 64 64" in lines
    assert "turnaround.run seq2seq-22222 seq2seq-33333" in lines
    assert {"0.959", "0.926"} <= set(lines)  # valid/bleu of each


def test_the_page_of_a_run_shows_its_samples_as_a_table(
    workshop: Workshop, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    place = at(workshop, "seq2seq-33333")
    page = f"experiments/{place['experiment_id']}/runs/{place['run_id']}"
    browser.get(f"{server}/#/{page}/artifacts/samples.json?{TRAINING}")
    shown(browser, "source", "translation", "the cat sleeps", "le chat dort", "View as table")
    browser.save_screenshot(str(pictures / "samples.png"))


def test_the_page_of_a_run_shows_its_plots(
    workshop: Workshop, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    place = at(workshop, "seq2seq-33333")
    page = f"experiments/{place['experiment_id']}/runs/{place['run_id']}"
    browser.get("about:blank")  # else the file that is open stays open
    browser.get(f"{server}/#/{page}/artifacts/plots/loss.png?{TRAINING}")
    loaded = "return document.querySelector('img[alt=\"plots/loss.png\"]')?.naturalWidth"
    WebDriverWait(browser, 150).until(lambda page: page.execute_script(loaded) == 840)
    browser.save_screenshot(str(pictures / "plot.png"))


def test_the_page_of_a_run_says_what_came_out_of_it(
    workshop: Workshop, server: str, browser: webdriver.Chrome, pictures: Path
) -> None:
    place = at(workshop, "seq2seq-33333")
    browser.get(
        f"{server}/#/experiments/{place['experiment_id']}/runs/{place['run_id']}?{TRAINING}"
    )
    shown(
        browser, "high", "Finished", "test/bleu 0.875, valid/bleu 0.9 after 100 steps", "seq2seq.py"
    )
    shown(browser, "wall/compute", "10.5")
    browser.save_screenshot(str(pictures / "run.png"))
