import dataclasses

import pytest

from tests.examples import example_plan, example_run
from turnaround.spec import Layout, Recipe, Status
from turnaround.tracking.params import STATUS, answer, key, params, tags, text


def test_params_are_words_of_the_command_line() -> None:
    plan = dataclasses.replace(
        example_plan(), recipe=Recipe("seq2seq", {"width": 64, "words": ["a", "b"]})
    )
    flat = params(plan)
    assert flat["recipe.name"] == "seq2seq"
    assert flat["recipe.width"] == "64"
    assert flat["recipe.words"] == '["a","b"]'
    assert flat["optim.lr"] == "0.001"
    assert flat["optim.clip"] == "null"
    assert flat["seed"] == "0"


def test_every_run_of_a_recipe_has_the_same_params() -> None:
    plan = example_plan()
    other = dataclasses.replace(plan, layout=Layout("ddp", 2), seed=7, name="mine", tags={"a": "b"})
    assert params(plan).keys() == params(other).keys()


def test_a_long_value_is_cut() -> None:
    plan = dataclasses.replace(example_plan(), recipe=Recipe("seq2seq", {"text": "x" * 9000}))
    assert len(params(plan)["recipe.text"]) == 6000


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("valid/bleu", "valid/bleu"),
        ("valid/f1 (macro)", "valid/f1 _macro_"),
        ("recall@10", "recall_10"),
        ("précision", "précision"),
        ("../../etc", "etc"),
        ("a//b/./c", "a/b/c"),
        ("..a", "a"),
        (".", "_"),
        ("", "_"),
        ("x\ny\0", "x_y_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_any_name_becomes_one_that_mlflow_accepts(name: str, accepted: str) -> None:
    assert key(name) == accepted


def test_our_tags_win_over_the_users() -> None:
    plan = dataclasses.replace(example_plan(), tags={"turnaround.run": "forged", "who@where": "me"})
    found = tags(example_run("reverse-22222"), plan)
    assert found["turnaround.run"] == "reverse-22222"
    assert found["who_where"] == "me"


def test_a_run_is_called_by_its_name_if_it_has_one() -> None:
    plan = example_plan()
    assert tags(example_run("reverse-22222"), plan)["mlflow.runName"] == "reverse-22222"
    named = dataclasses.replace(plan, name="wide")
    assert tags(example_run("reverse-22222"), named)["mlflow.runName"] == "wide"


@pytest.mark.parametrize(
    ("status", "reason", "values", "line"),
    [
        (Status.RUNNING, "", {}, "running"),
        (Status.FAILED, "the loss is nan", {}, "failed; the loss is nan"),
        (Status.STOPPED, "", {"valid/bleu": 0.5}, "stopped; valid/bleu 0.5 after 1,200 steps"),
        (
            Status.SUCCEEDED,
            "",
            {"valid/bleu": 0.81234, "test/loss": 0.25, "test/bleu": 0.8},
            "test/bleu 0.8, test/loss 0.25, valid/bleu 0.8123 after 1,200 steps",
        ),
    ],
)
def test_the_answer_is_one_line(
    status: Status, reason: str, values: dict[str, float], line: str
) -> None:
    summary = {"values": values, "steps": 1200} if values else {}
    run = dataclasses.replace(example_run(), status=status, reason=reason, summary=summary)
    assert answer(run) == line


def test_every_status_of_ours_is_one_of_mlflows() -> None:
    assert STATUS.keys() == set(Status)
    assert set(STATUS.values()) == {"SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"}


def test_values_read_as_they_would_be_typed() -> None:
    assert [text(value) for value in (True, None, 1e-8, "null", [0.9, 0.999])] == [
        "true",
        "null",
        "1e-08",
        "null",
        "[0.9,0.999]",
    ]
