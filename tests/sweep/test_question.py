"""What can be asked, what is refused, and the plans that follow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps import WORDS, Night, asked
from turnaround.config import hints, places
from turnaround.errors import ConfigError, PlanError
from turnaround.spec import from_json, to_json
from turnaround.sweep.ask import settings
from turnaround.sweep.question import (
    Mark,
    Settings,
    Window,
    label,
    paused,
    planned,
    point,
    read,
    save,
    words,
)


def refused(project: Path, own: Path, *more: str, **fields: Any) -> str:
    with pytest.raises((ConfigError, PlanError)) as error:
        asked(project, own, *more, **fields)
    return str(error.value)


def test_hydras_grammar_says_what_to_try(project: Path, own: Path) -> None:
    question = asked(
        project,
        own,
        "optim.lr=tag(log,interval(1e-4,1e-1))",
        "recipe.slope=choice(1.0,2.0)",
        "data.batch=range(8,33,8)",
        "optim=adam,sgd",
        name="tpe",
    )
    lr, slope, batch, optim = question.axes
    assert (lr.low, lr.high, lr.log, lr.integer) == (1e-4, 1e-1, True, False)
    assert slope.values == [1.0, 2.0]
    assert batch.values == [8, 16, 24, 32]
    assert optim.values == ["adam", "sgd"]
    assert [stem.choices for stem in question.stems] == [{"optim": "adam"}, {"optim": "sgd"}]


def test_each_run_to_start_from_is_a_stem_of_its_own(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.1,1"), own)
    night.drive()
    runs = night.hand.submitted
    for run in runs:
        (night.hand.journal.folder(run) / "checkpoints" / "best-00000090").mkdir(parents=True)
    question = asked(project, own, f"init_from=null,{runs[0]},{runs[1]}")
    plans = [planned(question, point(question, number), Mark("s", number)) for number in range(3)]
    assert [plan.init_from for plan in plans] == [None, *runs]
    night.hand.journal.update(runs[0], name="wide")
    assert "are the same question" in refused(project, own, f"init_from=wide,{runs[0]}")


def test_a_setting_of_whole_numbers_takes_only_those(project: Path, own: Path) -> None:
    question = asked(project, own, "data.batch=interval(8,32)", name="random")
    assert question.axes[0].integer
    assert question.axes[0].high == 32


def test_whole_numbers_of_an_interval_are_counted(project: Path, own: Path) -> None:
    words = ("data.batch=interval(8,12)", "recipe.slope=1.0,2.0")
    question = asked(project, own, *words, name="random")
    assert (question.size, question.trials) == (10, 10)
    found = [tuple(point(question, number).values()) for number in range(10)]
    assert sorted(found) == [(batch, slope) for batch in range(8, 13) for slope in (1.0, 2.0)]
    assert math.isinf(asked(project, own, *words, "optim.lr=interval(0.1,1)", name="tpe").size)


def test_how_many_numbers_of_an_interval_are_tried_a_window_decides(
    project: Path, own: Path
) -> None:
    night = Window(end=1.0)
    open_ended = asked(project, own, "data.batch=interval(8,800)", name="tpe", window=night)
    listed = asked(project, own, "data.batch=8,9", name="tpe", window=night)
    assert (open_ended.trials, listed.trials) == (math.inf, 2)


def test_what_is_wrong_is_said_before_anything_starts(project: Path, own: Path) -> None:
    assert "nothing to try" in refused(project, own, "optim.lr=0.1")
    assert "sweep=grid tries every value" in refused(project, own, "optim.lr=interval(0.1,1)")
    assert "is empty" in refused(project, own, "data.batch=range(5,1)")
    assert "is empty" in refused(project, own, "optim.lr=interval(1,0.1)", name="tpe")
    assert "is empty: it has none" in refused(
        project, own, "data.batch=interval(8.2,8.8)", name="tpe"
    )
    assert "no logarithm" in refused(project, own, "optim.lr=tag(log,interval(0,1))", name="tpe")
    assert "contradict" in refused(project, own, "optim.lr=0.1,1", "optim.lr=2")
    assert "greater than 0" in refused(project, own, "optim.lr=-1,1")
    assert "optim.lrr is not a setting" in refused(project, own, "optim.lrr=1,2")
    assert "recipe.slop is not a setting" in refused(project, own, "recipe.slop=1,2")
    assert "would give the same answer" in refused(project, own, "checkpoint.keep=1,2")
    assert "are the same question" in refused(project, own, "layout=single,ddp")
    assert "repeats over seeds" in refused(project, own, "seed=1,2", seeds=2)
    assert "whole grid" in refused(project, own, "optim.lr=0.1,1", trials=5)
    assert "outlives" in refused(project, own, "optim.lr=0.1,1", "cluster=inline")
    assert "grammar" in refused(project, own, "optim.lr=interval(0.1", name="tpe")


def test_the_words_of_the_sweep_itself_are_checked(tmp_path: Path) -> None:
    found, rest = settings(["sweep=asha", "optim.lr=1,2", "sweep.trials=50"], tmp_path)
    assert (found, rest) == (Settings("asha", trials=50), ["optim.lr=1,2"])
    for word, message in {
        "sweep=ash": "sweep=ash is not one of the options",
        "sweep.trails=3": "sweep.trails is not a setting",
        "sweep.trials=0": "greater than 0",
        "sweep.trials=3,4": "several values",
    }.items():
        with pytest.raises(ConfigError, match=message):
            settings([word], tmp_path)


def test_every_shipped_way_to_search_is_a_file_of_its_name(tmp_path: Path) -> None:
    names = places.options(tmp_path, "sweep")
    assert names == sorted(hints(Settings)["name"].__args__)
    for name in names:
        assert settings([f"sweep={name}"], tmp_path)[0].name == name


def test_a_trial_is_named_by_what_differs_and_belongs_to_its_sweep(
    project: Path, own: Path
) -> None:
    question = asked(project, own, "optim.lr=0.1,0.01", "recipe.slope=1.0,2.0", seeds=2)
    plan = planned(question, {"optim.lr": 0.01, "recipe.slope": 2.0}, Mark("sweep-x", 3, 1))
    assert plan.name == "lr=0.01 slope=2 seed=1"
    assert plan.tags == {"sweep": "sweep-x", "trial": "3"}
    assert (plan.seed, plan.optim.lr, plan.recipe.knobs["slope"]) == (1, 0.01, 2.0)
    assert plan.place.snapshot


def test_the_lowest_wins_of_a_score_whose_name_says_so(project: Path, own: Path) -> None:
    for word, rises in {"score=perplexity": False, "score=bleu": True, "score=right": True}.items():
        assert asked(project, own, "optim.lr=0.1,1", f"evaluate.{word}").rises == rises


def test_names_hold_no_paths(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=0.1,0.01")
    assert label(question, {"data.path": "../a/b"}) == "path=--a-b"
    assert label(question, {"a.x": 1, "b.x": 2}) == "a.x=1 b.x=2"


def test_a_trial_asks_what_turnaround_run_would_ask(project: Path, own: Path) -> None:
    question = asked(project, own, "optim=adam,sgd", "optim.lr=0.1,0.01", "optim.clip=null,1.0")
    values = {"optim": "sgd", "optim.lr": 0.01, "optim.clip": None}
    assert words(question, values)[-3:] == ["optim=sgd", "optim.lr=0.01", "optim.clip=null"]
    from turnaround import config, plan
    from turnaround.launch import facts

    alone = config.compose(words(question, values), project)
    gathered = facts.gather(alone, project, facts.inventory())
    assert planned(question, values, Mark("s", 0)).signature == plan.make(alone, gathered).signature


def test_a_pause_is_another_question_until_it_is_over(project: Path, own: Path) -> None:
    plan = planned(asked(project, own, "optim.lr=0.1,0.01"), {"optim.lr": 0.1}, Mark("s", 0))
    short = paused(plan, 30)
    assert short.signature != plan.signature
    assert paused(short, None) == plan
    assert from_json(type(plan), to_json(short)) == short


def test_a_question_is_read_as_it_was_saved(project: Path, own: Path, tmp_path: Path) -> None:
    question = asked(project, own, "optim=adam,sgd", "optim.lr=interval(0.1,1)", name="asha")
    save(question, tmp_path)
    assert read(tmp_path) == question
    assert json.loads((tmp_path / "sweep.json").read_text())["words"][: len(WORDS)] == WORDS


def test_an_edit_of_the_recipe_changes_no_trial_to_come(project: Path, own: Path) -> None:
    question = asked(project, own, "recipe.slope=1.0,2.0")
    before = planned(question, {"recipe.slope": 2.0}, Mark("s", 0))
    (project / "recipes" / "steady.py").write_text("broken(")
    assert planned(question, {"recipe.slope": 2.0}, Mark("s", 0)) == before
