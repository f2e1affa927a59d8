from dataclasses import replace

import pytest

from turnaround.spec import Status

RUN = "seq2seq-aaaaa"


def test_a_run_is_deleted_with_its_files(ask, trained, journal) -> None:
    trained(RUN)
    said = ask("rm", "--yes", "seq2seq-a")
    assert (said.code, said.out) == (0, f"deleted {RUN}\n")
    assert not journal.folder(RUN).exists()
    assert journal.runs() == []


def test_without_anybody_to_ask_nothing_is_deleted(ask, trained, journal, monkeypatch) -> None:
    trained(RUN)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    said = ask("rm", RUN)
    assert said.code == 2
    assert said.err.startswith(f"ConfigError: rm would delete {RUN} (")
    assert said.err.endswith("and nobody is there to ask\n  → add --yes\n")
    assert journal.folder(RUN).exists()


@pytest.mark.parametrize("answer", [True, False])
def test_a_person_is_asked(ask, trained, journal, monkeypatch, answer) -> None:
    trained(RUN, recorded=False)
    asked: list[str] = []

    def confirm(text: str) -> bool:
        asked.append(text)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", confirm)
    ask("rm", RUN)
    assert asked[0].endswith(f"? (MLflow has not got all of {RUN} yet)")
    assert journal.folder(RUN).exists() is not answer


def test_a_running_run_is_refused_and_nothing_else_deleted(ask, trained, submit, journal) -> None:
    trained(RUN)
    submit("seq2seq-bbbbb", Status.RUNNING)
    said = ask("rm", "--yes", RUN, "seq2seq-bbbbb")
    assert said.code == 2
    assert said.err == (
        "JournalError: run seq2seq-bbbbb is RUNNING\n  → turnaround stop seq2seq-bbbbb first\n"
    )
    assert journal.folder(RUN).exists()


def test_a_name_of_several_runs_is_refused_and_elsewhere_said(ask, trained, plan) -> None:
    for run in ("seq2seq-aaaaa", "seq2seq-bbbbb"):
        trained(run, replace(plan, name="wide"))
    for verb in (["rm", "--yes"], ["stop"]):
        said = ask(*verb, "wide")
        assert said.code == 2
        assert "2 runs answer to wide: " in said.err
        assert said.err.endswith("  → give an id\n")
    shown = ask("show", "wide")
    assert shown.code == 0
    assert "is the newest run called wide; seq2seq-" in shown.err
    assert ask("rm", "--yes", "seq2seq-b").code == 0
    assert ask("show", "wide").err == ""


def test_a_name_that_ids_begin_with_is_a_name_all_the_same(ask, trained, plan, journal) -> None:
    for run in ("seq2seq-aaaaa", "seq2seq-bbbbb"):
        trained(run, replace(plan, name="seq2seq"))
    assert "2 runs answer to seq2seq: " in ask("rm", "--yes", "seq2seq").err
    assert "is called so too" in ask("show", "seq2seq").err
    trained("wide-ccccc")
    trained("seq2seq-ddddd", replace(plan, name="wide"))
    assert "2 runs answer to wide: wide-ccccc, seq2seq-ddddd" in ask("stop", "wide").err
    said = ask("show", "wide").err
    assert said == "wide-ccccc begins with wide; seq2seq-ddddd is called so\n"
    assert len(journal.runs()) == 4


def test_a_run_that_is_not_there_points_to_those_that_are(ask, trained) -> None:
    for number in range(30):
        trained(f"seq2seq-{number:05d}")
    assert ask("rm", "nothing-alike").err.endswith("  → turnaround ls lists the runs\n")
