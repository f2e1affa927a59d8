import io
from dataclasses import replace
from types import SimpleNamespace

import pytest

from turnaround.spec import Plan

RUN = "seq2seq-aaaaa"
FAKE = """
from turnaround.errors import DataError


def answer(plan, folder, code):
    def reply(line):
        if line == "burn":
            raise ValueError("on fire")
        if line == "no":
            raise DataError("'no' is no number", "write one")
        return f"{folder.name} {plan.recipe.name}: {line[::-1]}"
    return reply
"""


def with_a_model(monkeypatch, tmp_path) -> None:
    (tmp_path / "fake_worker.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("turnaround.cli.verbs.try_.ANSWER", "fake_worker:answer")


@pytest.fixture
def here(plan, tmp_path) -> Plan:
    """A plan of a project that exists."""
    return replace(plan, place=replace(plan.place, project=str(tmp_path)))


def test_each_line_of_standard_input_is_answered(ask, trained, here, monkeypatch, tmp_path) -> None:
    trained(RUN, here)
    with_a_model(monkeypatch, tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("un\r\ndeux\n\ntrois"))
    said = ask("try", RUN)
    assert said.out == (
        f"{RUN} seq2seq: nu\n{RUN} seq2seq: xued\n{RUN} seq2seq: \n{RUN} seq2seq: siort\n"
    )
    assert (said.code, said.err) == (0, "")


def test_text_comes_before_standard_input(ask, trained, here, monkeypatch, tmp_path) -> None:
    trained(RUN, here)
    with_a_model(monkeypatch, tmp_path)
    assert ask("try", RUN, "--text", "ab", "-t", "cd").out == (
        f"{RUN} seq2seq: ba\n{RUN} seq2seq: dc\n"
    )


def test_a_run_without_a_checkpoint_says_so(ask, submit, here) -> None:
    submit(RUN, plan=here)
    said = ask("try", RUN, "--text", "ab")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("CheckpointError: ")


def test_a_line_that_cannot_be_answered_is_told_and_the_next_is_read(
    ask, trained, here, monkeypatch, tmp_path
) -> None:
    trained(RUN, here)
    with_a_model(monkeypatch, tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("burn\nno\nab\n"))
    said = ask("try", RUN)
    assert said.code == 1
    assert said.out == f"\n\n{RUN} seq2seq: ba\n"  # an answer stands in the line of its question
    assert said.err == (
        "RecipeError: no answer to 'burn': ValueError: on fire\n"
        "DataError: 'no' is no number → write one\n"
    )


def test_a_sweep_stands_for_its_winner(ask, trained, here, monkeypatch, tmp_path, journal) -> None:
    trained(RUN, here)
    with_a_model(monkeypatch, tmp_path)
    line = SimpleNamespace(name="lr=0.1", runs=[RUN])
    monkeypatch.setattr(
        "turnaround.sweep.report.made", lambda *_: SimpleNamespace(winner=line, lines=[line])
    )
    trained("sweep-bbbbb", here)
    (journal.folder("sweep-bbbbb") / "sweep.json").write_text("{}")
    said = ask("try", "sweep-bbbbb", "-t", "ab")
    assert said.out == f"{RUN} seq2seq: ba\n"
    assert said.err == f"{RUN} won sweep-bbbbb: lr=0.1\n"


def test_a_project_that_is_gone_is_named(ask, trained) -> None:
    trained(RUN)
    assert ask("try", RUN, "-t", "a").err == (
        f"LaunchError: {RUN} belongs to /project, which is gone\n  → restore it\n"
    )


def test_a_line_in_another_encoding_does_not_end_the_others(
    ask, trained, here, monkeypatch, tmp_path
) -> None:
    trained(RUN, here)
    with_a_model(monkeypatch, tmp_path)
    typed = io.TextIOWrapper(io.BytesIO(b"un\nd\xe9ux\ntrois\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", typed)
    said = ask("try", RUN)
    assert (said.code, said.err) == (0, "")
    lines = ("nu", "xu\ufffdd", "siort")
    assert said.out == "".join(f"{RUN} seq2seq: {line}\n" for line in lines)
