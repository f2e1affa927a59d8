"""A file of points: what it may say, and the sweep that comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps import WORDS, Night
from turnaround.config import project_root
from turnaround.errors import ConfigError, PlanError
from turnaround.sweep import question as questions
from turnaround.sweep.ask import ask
from turnaround.sweep.points import read
from turnaround.sweep.question import Question, Settings

FILE = "optim.lr,data.batch\n0.1,8\n0.01,16\n\n0.1,16\n"


def asked(project: Path, own: Path, text: str, *words: str, **settings: object) -> Question:
    file = project / ("points.jsonl" if text.startswith("{") else "points.csv")
    file.write_text(text)
    made = Settings(**settings)  # type: ignore[arg-type]  # of the test
    return ask([*WORDS, *words], made, project_root(project), own, read(file))


def test_each_line_is_a_trial_and_meets_the_other_words(project: Path, own: Path) -> None:
    question = asked(project, own, FILE, "recipe.slope=1.0,2.0", seeds=2)
    assert question.trials == 6
    night = Night.of(question, own)
    driver = night.drive()
    found = [tuple(trial.values.values()) for trial in driver.state.trials.values()]
    points = [(0.1, 8), (0.01, 16), (0.1, 16)]
    assert found == [(*point, slope) for point in points for slope in (1.0, 2.0)]
    assert len(night.hand.submitted) == 12
    assert questions.read(own / "runs" / night.sweep) == question


def test_lines_of_json_and_rungs_go_together(project: Path, own: Path) -> None:
    text = "\n".join(f'{{"optim.lr": {lr}}}' for lr in (0.1, 0.2, 0.3, 0.4))
    driver = Night.of(asked(project, own, text, name="asha"), own).drive()
    assert [trial.values["optim.lr"] for trial in driver.state.trials.values()] == [
        0.1,
        0.2,
        0.3,
        0.4,
    ]
    assert 1 <= len(driver.state.whole(driver.top)) < 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "points.csv line 1 is empty"),
        ("optim.lr\n", "points.csv has no points"),
        ("optim.lr,optim.lr\n1,2\n", "line 1: 'optim.lr' names no setting, or one twice"),
        ("optim.lr,seed\n0.1,1\n0.1\n", "points.csv line 3 has 1 cells, and the header 2"),
        ("optim.lr,seed\n0.1,\n", "points.csv line 2 has no seed"),
        ('optim.lr\n0.1\n"0.1,0.2"\n', "points.csv line 3: optim.lr=0.1,0.2 has several values"),
        ("optim.lr\n0.1\n0.2\n0.1\n", "points.csv line 4 says what line 2 does"),
        ("optim.lr\n0.1\n0.2\nfast\n", "points.csv line 4: optim.lr=fast does not fit"),
        ("optim.rate\n0.1\n", "points.csv line 1: optim.rate is not a setting"),
        ("optim.lr\n0.1\n'0.2\n", "points.csv line 3"),
        ("optim.lr\n-0.1\n0.1\n", "points.csv line 2: optim.lr=-0.1 does not fit"),
        ("optim.lr\n1e-1\n0.10\n", "points.csv line 3"),
        ('{"seed": 1}\n{"seed": \n', "points.jsonl line 2 is no JSON"),
        ('{"seed": 1}\n\n{"optim.lr": 1}\n', "points.jsonl line 3 also has optim.lr"),
        ('{"seed": 1}\n[1]\n', "points.jsonl line 2 is no object"),
    ],
)
def test_an_error_names_the_file_and_the_line(
    project: Path, own: Path, text: str, said: str
) -> None:
    with pytest.raises((ConfigError, PlanError)) as error:
        asked(project, own, text)
    assert said in str(error.value)


def test_what_does_not_go_with_points_is_refused(project: Path, own: Path) -> None:
    for name in ("random", "tpe", "pbt"):
        with pytest.raises(ConfigError, match=f"points.csv says what to try, and sweep={name}"):
            asked(project, own, FILE, name=name)
    with pytest.raises(ConfigError, match=r"points.csv says optim.lr, and so does optim.lr=0.1"):
        asked(project, own, FILE, "optim.lr=0.1,0.2")
    with pytest.raises(ConfigError, match="is an interval"):
        asked(project, own, FILE, "recipe.slope=interval(1,2)", name="asha")
    with pytest.raises(ConfigError, match="there is no such file"):
        read(project / "nothing.csv")
    with pytest.raises(ConfigError, match=r"is no \.csv"):
        read(project / "points.txt")
