"""`turnaround run --auto`: the words of the chosen point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.cli.conftest import PLAN
from tests.cli.test_worth import events
from turnaround.cli.verdicts import auto
from turnaround.cli.words.arguments import Sought
from turnaround.errors import PlanError
from turnaround.journal import Journal
from turnaround.spec import Data, Inventory, Status

WORDS = ["recipe=seq2seq", "data.batch=32", "layout=ddp", "layout.replicate=2", "seed=3"]


@pytest.fixture(autouse=True)
def known(journal: Journal, submit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of the question, on a machine with four devices."""
    for run, batch, each in (("seq2seq-aaaaa", 64, 0.020), ("seq2seq-bbbbb", 128, 0.036)):
        plan = replace(PLAN, data=Data(batch=batch))
        submit(run, Status.SUCCEEDED, plan)
        journal.append(run, *events(plan, each))
    monkeypatch.setattr(auto, "home", lambda: journal.root)
    monkeypatch.setattr(auto, "planned", lambda words, name, tags: (PLAN, None))
    monkeypatch.setattr(auto, "inventory", lambda cluster: Inventory(4, 0))


def test_the_words_of_the_chosen_point_take_the_place_of_others() -> None:
    told: list[str] = []
    words = auto.chosen(Sought(target="bleu=20", words=WORDS), told.append)
    assert words[:2] == ["recipe=seq2seq", "seed=3"]
    keys = [word.partition("=")[0] for word in words]
    assert len(keys) == len({*keys})
    assert {"data.batch", "budget.steps", "optim.lr", "layout", "layout.replicate"} <= {*keys}
    assert words[-2:] == ["evaluate.score=bleu", "budget.target=20"]
    assert told[0].startswith("chosen      ")
    assert told[1].split() == ["turnaround", "run", *words]


def test_one_device_undoes_the_layout_that_was_typed() -> None:
    words = auto.chosen(Sought(target="bleu=20", devices=1, words=WORDS), print)
    assert "layout=single" in words
    assert not any(word.startswith("layout.") for word in words)


def test_a_deadline_that_no_point_meets_shows_the_nearest_and_runs_nothing() -> None:
    sought = Sought(target="bleu=20", by="1s", words=WORDS)
    with pytest.raises(PlanError) as caught:
        auto.chosen(sought, print)
    assert caught.value.message.startswith("nothing keeps to --by 1s: the nearest takes ")
    assert caught.value.hint.startswith("turnaround run recipe=seq2seq seed=3 data.batch=")


def test_a_batch_that_grows_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    grows = replace(PLAN, data=Data(grow=16))
    monkeypatch.setattr(auto, "planned", lambda words, name, tags: (grows, None))
    with pytest.raises(PlanError, match=r"data\.grow=16 chooses the batch while it trains"):
        auto.chosen(Sought(target="bleu=20", words=WORDS), print)


def test_wishes_without_auto_are_refused(ask: Callable[..., Any]) -> None:
    done = ask("run", "recipe=seq2seq", "--target", "bleu=30")
    assert done.code == 2
    assert "say what --auto is to choose" in done.err
