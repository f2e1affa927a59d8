"""`turnaround plan` shows what a run would do, and does nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import STEADY, TWO
from turnaround.journal import Journal
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.spec import Inventory, Plan, Status, from_dict

TINY = '''"""Count to ten."""


class Config:
    width: int = 8  # of everything
    deep: bool = False
'''
QUICK = ("recipe=tiny", "budget=smoke", "--quick")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one recipe, on a machine of two cores; we are in it."""
    (tmp_path / "project" / "recipes").mkdir(parents=True)
    (tmp_path / "project" / "recipes" / "tiny.py").write_text(TINY)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(facts, "inventory", lambda: Inventory(cpus=2, gpus=0))
    return tmp_path / "project"


def test_every_part_of_the_plan_is_shown(project: Path, ask: Callable[..., Any]) -> None:
    said = ask("plan", *QUICK, "optim=sgd", "--name", "wide", "--tag", "a=b")
    lines = said.out.replace("\n" + " " * 12, " ").splitlines()
    assert lines[:-2] == [
        "recipe      tiny width=8 deep=false",
        "data        batch=64 bucket=1",
        "optim       sgd lr=0.1 weight_decay=0.0 schedule=constant warmup=0 floor=0.0",
        "layout      single replicate=1 activation_checkpointing=false compile=false",
        "update      sync accumulate=1 groups=1 compress=none straggle=0.0",
        "budget      steps=2",
        "evaluate    score=loss better=auto",
        "checkpoint  keep=2",
        "seed        0 precision=fp32",
        "cluster     pool device=cpu threads=1 priority=0 retries=3 spread=false isolate=true",
        f"tracking    mlflow uri=sqlite:///{project}/mlflow.db experiment=tiny noise=20",
        "name        wide",
        "tags        a=b",
        f"project     {project} (no git)",
    ]
    assert lines[-2].startswith("python      ")
    assert lines[-1].startswith("signature   ")
    assert max(map(len, said.out.splitlines())) <= 100 + len(str(project))


@pytest.mark.ray
def test_the_model_is_looked_at_and_what_does_not_suit_it_is_refused(
    project: Path, ask: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNAROUND_HOME", str(home))
    Pool(home).ensure(print, TWO)
    (project / "recipes" / "steady.py").write_text(STEADY)
    words = ("plan", "recipe=steady", "budget=smoke", "optim=adam")
    told = ask(*words).out.replace("\n" + " " * 12, " ").splitlines()
    assert (
        "model       2 parameters; 32 B a device with gradients and the state of adam, before "
        "activations; its scores: loss"
    ) in told
    said = ask(*words, "evaluate.score=acc")
    assert said.code == 2
    assert said.err.endswith(
        "evaluate.score=acc is not among the scores\n  → choose one of (loss)\n"
    )


def test_json_is_the_plan_itself(project: Path, ask: Callable[..., Any]) -> None:
    said = ask("plan", "recipe=tiny", "budget=smoke", "--json")
    assert from_dict(Plan, json.loads(said.out)).budget.steps == 2


def test_nothing_is_submitted(project: Path, journal: Journal, ask: Callable[..., Any]) -> None:
    assert ask("plan", *QUICK).code == 0
    assert {file.name for file in journal.root.iterdir()} <= {"cache", "pool"}


def test_a_question_asked_before_is_pointed_out(
    project: Path,
    journal: Journal,
    ask: Callable[..., Any],
    submit: Callable[..., Any],
) -> None:
    words = ("plan", *QUICK)
    made = from_dict(Plan, json.loads(ask(*words, "--json").out))
    submit("tiny-k3x9e", Status.SUCCEEDED, made)
    assert ask(*words).out.splitlines()[-1] == "asked       before, as tiny-k3x9e (SUCCEEDED)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipe=tiyn"], "recipe=tiyn is not one of the options of recipe"),
        (["recipe=tiny"], "no budget: the run would not end"),
        (
            ["recipe=tiny", "budget=smoke", "layout=ddp", "layout.replicate=8"],
            "layout=ddp with layout.replicate=8 needs 8 devices, but there are 2 (CPU cores)",
        ),
        (["recipe=tiny", "budget=smoke", "data.path=none.tsv"], "data.path=none.tsv: "),
        (["recipe=tiny", "optim.lr=1,2"], "optim.lr=1,2 asks for several values"),
        (["recipe=tiny", "budget=smoke", "name=a/b"], "name 'a/b' contains /"),
    ],
)
def test_what_cannot_be_is_refused(
    project: Path, ask: Callable[..., Any], words: list[str], message: str
) -> None:
    said = ask("plan", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "→" in said.err


def test_a_broken_recipe_is_named_with_its_line(project: Path, ask: Callable[..., Any]) -> None:
    (project / "recipes" / "tiny.py").write_text("def f(:\n")
    said = ask("plan", "recipe=tiny")
    assert said.code == 1
    assert "tiny.py, line 1: invalid syntax\n    def f(:" in said.err
