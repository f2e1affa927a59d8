from collections.abc import Callable
from dataclasses import replace

from turnaround.spec import Status

Ask = Callable[..., object]


def test_an_empty_journal_says_what_to_type(ask) -> None:
    said = ask("ls")
    assert (said.code, said.out) == (0, "no runs yet: turnaround run recipe=seq2seq\n")


def test_the_list_is_whole_when_nobody_looks(ask, submit, trained, journal, plan) -> None:
    trained("seq2seq-aaaaa", replace(plan, name="wide"))
    submit("seq2seq-bbbbb", Status.FAILED, reason="Error:" + " long" * 30)
    journal.update(
        "seq2seq-bbbbb", started=None, submitted=journal.run("seq2seq-aaaaa").submitted - 1
    )
    submit("seq2seq-ccccc")
    journal.update("seq2seq-ccccc", submitted=journal.run("seq2seq-aaaaa").submitted - 2)
    assert ask("ls").out == (
        "id             name  recipe   status     step   score       age  took   left  reason\n"
        "seq2seq-aaaaa  wide  seq2seq  SUCCEEDED  3,000  bleu 70.04  2h   2m31s\n"
        "seq2seq-bbbbb        seq2seq  FAILED                        2h                Error:"
        f"{' long' * 30}\n"
        "seq2seq-ccccc        seq2seq  QUEUED                        2h\n"
    )


def test_filters_are_all_asked_of_the_journal(ask, submit, trained, journal, plan) -> None:
    trained("seq2seq-aaaaa", replace(plan, name="wide", tags={"team": "nlp", "odd key": "a'b"}))
    trained("seq2seq-bbbbb", replace(plan, name="narrow", tags={"team": "nlp"}))
    submit("seq2seq-ccccc", Status.FAILED, replace(plan, name="wider"))

    def listed(*words: str) -> set[str]:
        return {line.split()[0] for line in ask("ls", *words).out.splitlines()[1:]}

    assert listed("--name", "wid*") == {"seq2seq-aaaaa", "seq2seq-ccccc"}
    assert listed("--name", "[!w]*") == {"seq2seq-bbbbb"}
    assert listed("--tag", "team=nlp") == {"seq2seq-aaaaa", "seq2seq-bbbbb"}
    assert listed("--tag", "team=nlp", "--tag", "odd key=a'b") == {"seq2seq-aaaaa"}
    assert listed("--status", "failed", "--recipe", "seq2seq") == {"seq2seq-ccccc"}
    assert listed("--recipe", "other") == set()


def test_the_list_reads_no_folder_of_a_run_that_is_over(ask, trained, journal) -> None:
    trained("seq2seq-aaaaa")
    journal.folder("seq2seq-aaaaa").rename(journal.root / "elsewhere")
    assert "bleu 70.04" in ask("ls").out
