"""What a search takes over from an earlier sweep."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.sweeps import Night, asked
from turnaround.errors import ConfigError
from turnaround.journal import Journal
from turnaround.sweep.prior import learnt
from turnaround.sweep.question import read, save
from turnaround.sweep.search import proposed
from turnaround.sweep.state import State

LR = "optim.lr=tag(log,interval(0.001,1))"


@pytest.fixture
def before(project: Path, own: Path) -> str:
    """A sweep whose best learning rate is 0.1."""
    night = Night.of(asked(project, own, LR, name="random", trials=30), own)
    night.drive()
    return night.sweep


def test_a_search_begins_where_an_earlier_one_ended(project: Path, own: Path, before: str) -> None:
    question = learnt(asked(project, own, LR, name="tpe", like=before), Journal(own))
    assert len(question.prior) == 30
    found = [proposed(question, State(False), number, 0) or {} for number in range(5)]
    off = sorted(abs(math.log10(values["optim.lr"]) + 1) for values in found)
    assert off[2] < 0.4
    save(question, own)
    assert read(own) == question


def test_only_what_lies_in_the_space_counts(project: Path, own: Path, before: str) -> None:
    narrow = asked(project, own, "optim.lr=interval(0.01,0.1)", name="tpe", like=before)
    assert 3 < len(learnt(narrow, Journal(own)).prior) < 20
    other = asked(project, own, LR, "data.batch=8,16", name="tpe", like=before)
    with pytest.raises(ConfigError, match="none of its 30 whole trials lies in this space"):
        learnt(other, Journal(own))


def test_a_sweep_that_is_not_like_this_one_is_refused(
    project: Path, own: Path, before: str
) -> None:
    other = asked(project, own, LR, "evaluate.score=accuracy", name="tpe", like=before)
    with pytest.raises(ConfigError, match="looked for the loss of steady"):
        learnt(other, Journal(own))
    with pytest.raises(ConfigError, match="goes by scores"):
        asked(project, own, LR, name="random", like=before)
    run = next(iter(Journal(own).runs("tags LIKE '%\"trial\"%'"))).id
    with pytest.raises(ConfigError, match="is no sweep"):
        learnt(asked(project, own, LR, name="tpe", like=run), Journal(own))
