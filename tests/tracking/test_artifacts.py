import math
from pathlib import Path
from typing import Any

from turnaround.spec import Event
from turnaround.tracking.artifacts import PICTURES, few, samples
from turnaround.tracking.plots import curves, plot


def metrics(step: int, split: str, attempt: int = 1, **values: float) -> Event:
    return Event("metrics", {"step": step, "split": split, "values": values}, 0.0, attempt)


def test_samples_of_all_evaluations_stand_in_one_table() -> None:
    columns = ["source", "translation"]
    early = Event("samples", {"step": 10, "columns": columns, "rows": [["cat", "chien"]]}, 0.0)
    late = Event("samples", {"step": 20, "columns": columns, "rows": [["cat", "chat"]]}, 0.0)
    assert samples([early, late]) == {
        "columns": ["step", "source", "translation"],
        "data": [[10, "cat", "chien"], [20, "cat", "chat"]],
    }


def test_a_run_without_samples_has_no_table() -> None:
    assert samples([metrics(1, "train", loss=1.0)]) == {}


def test_a_cell_that_a_browser_could_not_read_becomes_text() -> None:
    rows = [[math.nan, [1, 2], None, 0.5]]
    event = Event("samples", {"step": 1, "columns": list("abcd"), "rows": rows}, 0.0)
    assert samples([event])["data"] == [[1, "NaN", "[1, 2]", None, 0.5]]


def test_curves_are_the_loss_and_what_evaluations_found() -> None:
    events = [
        metrics(1, "train", loss=2.0, lr=0.1),
        metrics(2, "train", loss=1.0, lr=0.1),
        metrics(2, "valid", loss=1.5, bleu=0.5),
    ]
    assert curves(events) == {
        "loss": {"train": {1: 2.0, 2: 1.0}, "valid": {2: 1.5}},
        "bleu": {"valid": {2: 0.5}},
    }


def test_of_many_scores_a_few_are_drawn_and_the_loss_is_one_of_them() -> None:
    many: dict[str, Any] = {f"score-{number}": 0.5 for number in range(200)}
    shown = few(curves([metrics(2, "valid", **many, loss=1.5)]))
    assert (len(shown), shown[0][0], shown[1][0]) == (PICTURES, "loss", "score-0")


def test_a_step_that_was_repeated_is_drawn_once() -> None:
    events = [metrics(1, "train", loss=2.0), metrics(1, "train", attempt=2, loss=3.0)]
    assert curves(events) == {"loss": {"train": {1: 3.0}}}


def test_a_curve_that_left_the_finite_numbers_is_drawn(tmp_path: Path) -> None:
    figure = plot("loss", {"train": {1: 1.0, 2: math.inf, 3: math.nan}})
    figure.savefig(tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 1000
