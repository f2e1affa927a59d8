"""`turnaround why`: real runs that are slow in one way, queues that are full, runs that failed."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.cli.conftest import PLAN
from turnaround.cli.views import again
from turnaround.journal import Journal, Run
from turnaround.launch import inline
from turnaround.launch.pool import Pool
from turnaround.pool.places import Record, owner
from turnaround.spec import Cluster, Event, Layout, Optim, Plan, Status

SLOW = (Path(__file__).parents[2] / "scripts" / "bench" / "recipes" / "slow.py").read_text()
PLAIN = ("evaluate.every=20", "cluster=inline")


@pytest.fixture
def carry_out(journal: Journal, tmp_path: Path) -> Callable[..., Run]:
    """A run of these words, in this process."""
    project = projects.make_project(tmp_path / "project", SLOW)

    def run(*words: str) -> Run:
        words = (*PLAIN, *words)
        plan = projects.planned(project, journal.root, *words)
        told = {"began": time.time(), "rows": {}, "words": ["recipe=steady", *words]}
        inline.run(plan, journal, lambda event: None, told)
        return journal.runs(limit=1)[0]

    return run


@pytest.fixture
def causes(ask, carry_out: Callable[..., Run]) -> Callable[..., list[dict[str, Any]]]:
    """What is said of a run of these words."""

    def told(*words: str) -> list[dict[str, Any]]:
        said = ask("why", carry_out(*words).id, "--json")
        found: list[dict[str, Any]] = json.loads(said.out)["advice"]
        return [advice for advice in found if advice["cause"] != "inline"]

    return told


# ── slow ──


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "cause", "change"),
    [
        (["checkpoint.every=1", "recipe.save=0.02"], "checkpoints", "checkpoint.every="),
        (["evaluate.every=1", "recipe.score=0.03"], "evaluations", "evaluate.every="),
        pytest.param(
            ["data.batch=4", "budget.steps=400", "evaluate.every=200", "recipe.step=0.005"],
            "batch",
            "data.batch=64 budget.steps=25 evaluate.every=13",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_makes_a_run_slow_is_named_with_what_changes_it(
    causes, words: list[str], cause: str, change: str
) -> None:
    told = causes(*words)[0]
    assert told["cause"] == cause
    assert " ".join(told["words"]).startswith(change)
    assert 0 < told["low"] <= told["saves"] <= told["high"]
    assert told["type"].startswith("turnaround run recipe=steady ")
    keys = [word.partition("=")[0] for word in shlex.split(told["type"])[2:]]
    assert len(keys) == len(set(keys)), "a word that was changed is there once"


@pytest.mark.slow
def test_a_slow_loader_is_named(causes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turnaround.launch.facts.inventory", lambda: projects.TWO)
    told = causes("recipe.read=0.003")[0]
    assert (told["cause"], told["row"]) == ("loader", "data")
    assert told["words"] == ["layout=ddp", "layout.replicate=2"]
    assert told["saves"] == pytest.approx(0.5 * 40 * 16 * 0.003, rel=0.25)


@pytest.mark.slow
def test_the_slow_one_of_two_ranks_is_named(causes) -> None:
    told = causes("layout=ddp", "layout.replicate=2", "recipe.lag=0.01")[0]
    assert (told["cause"], told["row"]) == ("imbalance", "communicate")
    assert told["words"] == ["layout=single"]
    assert told["message"].startswith("rank 1 ")
    assert "layout.replicate" not in told["type"]


def test_people_read_the_row_the_gain_and_the_line_to_type(ask, carry_out) -> None:
    run = carry_out("checkpoint.every=1", "recipe.save=0.02")
    lines = ask("why", run.id).out.splitlines()
    assert lines[0].startswith(f"{run.id} SUCCEEDED: ")
    assert lines[0].endswith(" from key press to recorded answer")
    found = [line for line in lines if line.startswith("checkpoint  ")]
    assert "40 checkpoints of" in found[0]
    assert any(line.startswith("  saves     ") and "checkpoint.every=40" in line for line in lines)
    assert any(line.startswith("  type      turnaround run recipe=steady ") for line in lines)


def test_a_run_that_loses_nothing_is_told_its_largest_rows(ask, trained, journal, event) -> None:
    run = trained("seq2seq-aaaaa")
    rows = {"compute": 50.0, "build": 1.0}
    journal.append(run.id, event("ledger", step=3000, began=time.time() - 60, rows=rows))
    assert "nothing     to change: the largest rows are compute 50s" in ask("why", run.id).out


# ── waiting ──


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of four cores seems to be up."""
    record = Record(1, 0.0, 1, "", "python", cpus=4, gpus=0, keep_warm=1.0, since=0.0)
    monkeypatch.setattr(Pool, "record", lambda self: record)


def cores(plan: Plan, count: int, priority: int = 0) -> Plan:
    layout = Layout("ddp", count) if count > 1 else Layout()
    return replace(plan, layout=layout, cluster=Cluster(device="cpu", threads=1, priority=priority))


def held(ask, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask("why", run, "--json").out)["waiting"]
    return found


@pytest.mark.usefixtures("pool")
def test_a_run_that_asks_for_too_much_now_starts_with_less(
    ask, submit, plan, journal, training
) -> None:
    submit("seq2seq-aaaaa", Status.RUNNING, cores(plan, 3))
    journal.append("seq2seq-aaaaa", *training())
    submit("seq2seq-bbbbb", plan=cores(plan, 2))
    told = held(ask, "seq2seq-bbbbb")
    assert told["reason"] == "needs 2 CPU cores: 1 of 4 is free"
    assert [(holder["run"], holder["cpus"]) for holder in told["holders"]] == [("seq2seq-aaaaa", 3)]
    assert told["words"] == ["layout=single"]
    said = ask("why", "seq2seq-bbbbb").out
    assert "held by     seq2seq-aaaaa: 3 CPU cores, " in said
    assert "  type      turnaround stop seq2seq-bbbbb && layout=single" in said


@pytest.mark.usefixtures("pool")
def test_a_run_behind_another_starts_with_a_higher_priority(ask, submit, plan) -> None:
    submit("seq2seq-aaaaa", Status.RUNNING, cores(plan, 3))
    submit("seq2seq-bbbbb", plan=cores(plan, 4))
    submit("seq2seq-ccccc", plan=cores(plan, 1))
    told = held(ask, "seq2seq-ccccc")
    assert told["reason"] == "needs 1 CPU core: 1 of 4 is free, but others go first"
    assert told["ahead"] == ["seq2seq-bbbbb"]
    assert told["words"] == ["cluster.priority=1"]


@pytest.mark.usefixtures("pool")
def test_nobody_is_told_to_go_before_the_highest_priority(ask, submit, plan) -> None:
    submit("seq2seq-aaaaa", Status.RUNNING, cores(plan, 3))
    submit("seq2seq-bbbbb", plan=cores(plan, 4, priority=1000))
    submit("seq2seq-ccccc", plan=cores(plan, 1))
    told = held(ask, "seq2seq-ccccc")
    assert (told["ahead"], told["words"]) == (["seq2seq-bbbbb"], [])


@pytest.mark.usefixtures("pool")
def test_where_nothing_is_free_a_holder_has_to_go(ask, submit, plan) -> None:
    submit("seq2seq-aaaaa", Status.RUNNING, cores(plan, 4))
    submit("seq2seq-bbbbb", plan=cores(plan, 1))
    told = held(ask, "seq2seq-bbbbb")
    assert (told["words"], told["command"]) == ([], "turnaround stop seq2seq-aaaaa")


def test_without_a_pool_one_is_to_be_started(ask, submit, plan) -> None:
    submit("seq2seq-aaaaa", plan=cores(plan, 1))
    assert held(ask, "seq2seq-aaaaa")["command"] == "turnaround up"


def test_a_sweep_with_a_time_of_its_own_waits_for_that(ask, submit, plan) -> None:
    inline = replace(plan, cluster=Cluster("inline"))
    submit("sweep-aaaaa", plan=inline, owner=owner(), reason="it begins on Fri 22:00")
    assert held(ask, "sweep-aaaaa")["reason"] == "it begins on Fri 22:00"
    submit("seq2seq-aaaaa", plan=inline, owner=owner())
    assert held(ask, "seq2seq-aaaaa")["reason"] == "its own process is about to begin"


# ── failed ──


def failed(journal: Journal, submit, code: int, *events: Event, plan: Plan = PLAN) -> Run:
    spans = {"began": time.time(), "rows": {}, "words": ["recipe=seq2seq", "optim.lr=0.01"]}
    submit("seq2seq-aaaaa", Status.RUNNING, plan)
    journal.append("seq2seq-aaaaa", Event("spans", spans, time.time()), *events)
    (journal.folder("seq2seq-aaaaa") / "log.txt").write_text("one\ntwo\n")
    journal.mark("seq2seq-aaaaa", Status.FAILED, "it broke", attempt=1, exit_code=code)
    return journal.run("seq2seq-aaaaa")


def test_a_recipe_that_failed_is_mended_where_its_traceback_ends(
    ask, submit, journal, event
) -> None:
    trace = 'Traceback:\n  File "recipes/seq2seq.py", line 12, in loss\n    x / 0\nValueError: zero'
    error = event("error", message="ValueError: zero", hint="", traceback=trace, exit_code=1)
    failed(journal, submit, 1, error)
    said = ask("why", "seq2seq-aaaaa")
    assert said.code == 0
    assert said.out == (
        "seq2seq-aaaaa FAILED at step 0 (exit code 1)\n"
        "\n"
        "  Traceback:\n"
        '    File "recipes/seq2seq.py", line 12, in loss\n'
        "      x / 0\n"
        "  ValueError: zero\n"
        "\n"
        "the end of its log:\n"
        "  | one\n"
        "  | two\n"
        "\n"
        "first       mend recipes/seq2seq.py, line 12\n"
        "next        turnaround run recipe=seq2seq optim.lr=0.01\n"
    )


@pytest.mark.parametrize("where", ["project", "snapshot", "nowhere"])
def test_a_library_that_a_recipe_called_is_not_to_be_mended(
    ask, submit, journal, event, tmp_path: Path, where: str
) -> None:
    project, tree = tmp_path / "mine", journal.root / "snapshots" / "abc" / "tree"
    root = {"project": project, "snapshot": tree, "nowhere": tmp_path / "else"}[where]
    (root / "recipes").mkdir(parents=True)
    (root / "recipes" / "seq2seq.py").touch()
    library = ".venv/lib/python3/site-packages/torch/nn/modules/linear.py"
    (project / library).parent.mkdir(parents=True)
    (project / library).touch()
    trace = (
        'Traceback:\n  File "recipes/seq2seq.py", line 12, in loss\n    self.out(x)\n'
        f'  File "{library}", line 125, in forward\nRuntimeError: shapes'
    )
    place = replace(PLAN.place, project=str(project), snapshot="abc")
    error = event("error", message="RuntimeError: shapes", hint="", traceback=trace, exit_code=1)
    failed(journal, submit, 1, error, plan=replace(PLAN, place=place))
    told = json.loads(ask("why", "seq2seq-aaaaa", "--json").out)["failure"]
    blamed = f"{library}, line 125"
    mine = "recipes/seq2seq.py, line 12"
    assert told["after"] == f"mend {blamed if where == 'nowhere' else mine}"


@pytest.mark.parametrize(
    ("optim", "gentler"),
    [
        (Optim("lbfgs", lr=1), "optim.lr=0.25"),
        (Optim("sgd", lr=1), "optim.lr=0.25 optim.clip=1"),
        (Optim(lr=1, clip=0.1), "optim.lr=0.25 optim.clip=0.1"),
        (Optim(lr=1, clip=5), "optim.lr=0.25 optim.clip=1"),
    ],
)
def test_a_loss_that_is_not_finite_wants_gentler_steps_that_can_be_asked_for(
    ask, submit, journal, optim: Optim, gentler: str
) -> None:
    failed(journal, submit, 4, plan=replace(PLAN, optim=optim))
    told = json.loads(ask("why", "seq2seq-aaaaa", "--json").out)["failure"]
    assert told["command"] == f"turnaround run recipe=seq2seq {gentler}"


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (2, ""),
        (3, "turnaround resume seq2seq-aaaaa"),
        (4, "turnaround run recipe=seq2seq optim.lr=0.00025 optim.clip=1"),
    ],
)
def test_the_next_command_follows_from_the_exit_code(
    ask, submit, journal, code: int, command: str
) -> None:
    failed(journal, submit, code)
    told = json.loads(ask("why", "seq2seq-aaaaa", "--json").out)["failure"]
    assert (told["command"], told["message"]) == (command, "it broke")
    assert told["log"] == ["one", "two"]


DATA = "turnaround run recipe=seq2seq optim.lr=0.01"  # once the file is mended


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("ConfigError", "optim.lr=0.1, or so"), ("", DATA.replace("0.01", "0.1"))),
        (("ConfigError", "choose one of (a, b)"), ("change what the message names", "")),
        (("ConfigError", "optim.lr=0.01"), ("change what the message names", "")),  # as it is
        (("DataError", "see line 3"), ("mend the data", DATA)),
    ],
)
def test_what_was_asked_wrongly_is_not_asked_again_as_it_was(
    ask, submit, journal, said: tuple[str, str], expected: tuple[str, str]
) -> None:
    kind, hint = said
    error = {"message": "it broke", "hint": hint, "traceback": "", "exit_code": 2, "type": kind}
    failed(journal, submit, 2, Event("error", error, time.time(), 1))
    told = json.loads(ask("why", "seq2seq-aaaaa", "--json").out)["failure"]
    assert (told["after"], told["command"]) == expected
    assert ("next " in ask("why", "seq2seq-aaaaa").out) is bool(expected[1])


@pytest.mark.parametrize(("status", "code"), [(Status.STOPPED, 75), (Status.FAILED, 3)])
def test_a_sweep_goes_on_by_a_verb_of_its_own(
    ask, submit, journal, status: Status, code: int
) -> None:
    submit("sweep-aaaaa", Status.RUNNING)
    (journal.folder("sweep-aaaaa") / "sweep.json").write_text("{}")
    journal.mark("sweep-aaaaa", status, attempt=1, exit_code=code)
    told = ask("why", "sweep-aaaaa").out
    assert "next        turnaround sweep --resume sweep-aaaaa\n" in told


# ── what to type ──


@pytest.mark.parametrize(
    ("words", "changes", "line"),
    [
        (["recipe=a"], [], "turnaround run recipe=a"),
        (["recipe=a", "optim.lr=1"], ["optim.lr=2"], "turnaround run recipe=a optim.lr=2"),
        (["layout=ddp", "layout.replicate=2"], ["layout=single"], "turnaround run layout=single"),
        (
            ["layout=ddp", "+layout.shard=2", "layout.compile=true"],
            ["layout=single"],
            "turnaround run layout.compile=true layout=single",
        ),
        (["layout.compile=true"], ["layout.compile=false"], "turnaround run layout.compile=false"),
        (
            ["layout.activation_checkpointing=true"],
            ["layout=ddp"],
            "turnaround run layout.activation_checkpointing=true layout=ddp",
        ),
        (["data.path=my file"], [], "turnaround run 'data.path=my file'"),
    ],
)
def test_a_change_replaces_the_words_it_changes(
    words: list[str], changes: list[str], line: str
) -> None:
    assert again.line(words, changes) == line
