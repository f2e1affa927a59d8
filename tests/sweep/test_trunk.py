"""Where trials part, and what they have in common until then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import asked
from turnaround.sweep.question import Mark, Question, planned
from turnaround.sweep.trunk import shared, trunk

WSD = ("optim.schedule=wsd", "optim.floor=0.0,0.1", "budget.steps=100")


def parts(question: Question) -> int | None:
    first = {axis.key: axis.values[0] if axis.listed else axis.low for axis in question.axes}
    return shared(question, first)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (WSD, 80),
        ((*WSD, "evaluate.every=30"), 60),  # where a run is judged anyway
        ((*WSD, "evaluate.every=90"), None),
        ((*WSD, "optim.decay_after=0.5,0.9"), 50),
        ((*WSD, "optim.schedule=wsd,constant"), 80),
        ((*WSD, "optim.schedule=wsd,cosine"), None),  # which falls from the first step on
        (("optim.schedule=halving", "optim.halve_every=0.05,0.1", "budget.steps=100"), 60),
        (("optim.schedule=wsd", "optim.lr=0.1,1", "budget.steps=100"), None),
        ((*WSD, "budget.time=9s"), None),
        ((*WSD, "optim.lr=0.1,1", "optim.warmup=0,5"), 80),
        (
            (
                "optim.schedule=wsd",
                "optim.floor=0.0,0.1",
                "budget.steps=null",
                "budget.examples=6400",
            ),
            80,
        ),
    ],
)
def test_trials_part_at_the_last_evaluation_that_they_share(
    project: Path, own: Path, words: tuple[str, ...], step: int | None
) -> None:
    named = {word.partition("=")[0]: word for word in words}  # the last of a name counts
    assert parts(asked(project, own, *named.values())) == step


def drawn(project: Path, own: Path, *words: str, **settings: Any) -> int | None:
    return parts(asked(project, own, "optim.schedule=wsd", "budget.steps=100", *words, **settings))


def test_a_trunk_is_made_where_two_trials_or_more_will_share_it(project: Path, own: Path) -> None:
    floor = "optim.floor=interval(0,0.5)"
    assert drawn(project, own, floor, name="random") == 80
    assert drawn(project, own, floor, "optim.lr=0.1,1", name="random", trials=4) == 80
    assert drawn(project, own, floor, "optim.lr=0.1,1", name="random", trials=3) is None
    assert drawn(project, own, floor, "optim.lr=interval(0.1,1)", name="random") is None
    assert drawn(project, own, floor, name="tpe") is None
    assert drawn(project, own, floor, name="random", share=False) is None


def test_a_trunk_is_the_same_for_all_that_part_there(project: Path, own: Path) -> None:
    question = asked(project, own, *WSD, "optim.decay=linear,sqrt", "optim.lr=0.1,1")
    values = {"optim.floor": 0.0, "optim.decay": "linear", "optim.lr": 0.1}
    made = trunk(question, values, Mark("s", 0), 80)
    late = values | {"optim.floor": 0.1, "optim.decay": "sqrt"}
    assert trunk(question, late, Mark("s", 1), 80).signature == made.signature
    other = trunk(question, values | {"optim.lr": 1.0}, Mark("s", 0), 80)
    assert other.signature != made.signature
    assert (made.until, made.optim.schedule, made.name) == (80, "constant", "trunk lr=0.1")
    assert made.budget == planned(question, values, Mark("s", 0)).budget
