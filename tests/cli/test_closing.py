from collections.abc import Callable
from dataclasses import replace

from turnaround.cli.views.closing import closing
from turnaround.cli.views.tail import latest
from turnaround.journal import Journal, Run
from turnaround.spec import Event, Status

RUN = "seq2seq-aaaaa"


def told(journal: Journal, run: Run) -> str:
    return closing(journal, run, latest(journal, run))


def test_a_run_that_went_well(journal: Journal, trained: Callable[..., Run]) -> None:
    assert told(journal, trained(RUN, tracking="sqlite:////project/mlflow.db")) == (
        "seq2seq-aaaaa SUCCEEDED after 2m31s: step 3,000, 192,000 examples, ended by budget\n"
        "\n"
        "  valid  loss 0.6412  bleu 71.31\n"
        "  test   loss 0.65  bleu 70.04\n"
        "\n"
        "  source  the small cat sleeps\n"
        "  target  le petit chat dort\n"
        "  model   le petit chat dort\n"
        "\n"
        "  files   ~/home/runs/seq2seq-aaaaa\n"
        "  use it  turnaround try seq2seq-aaaaa\n"
        "  pages   turnaround ui"
    )


def test_a_run_that_failed_shows_its_traceback_and_advice(journal, submit, event) -> None:
    submit(RUN, Status.RUNNING)
    traceback = 'Traceback\n  File "recipes/mine.py", line 3, in loss\nValueError: shapes differ\n'
    journal.append(
        RUN, event("error", message="ValueError: shapes differ", hint="look", traceback=traceback)
    )
    journal.mark(RUN, Status.FAILED, "ValueError: shapes differ", attempt=1, exit_code=1)
    journal.update(RUN, started=100.0, ended=103.0)
    assert told(journal, journal.run(RUN)) == (
        "seq2seq-aaaaa FAILED after 3.0s\n"
        "\n"
        "Traceback\n"
        '  File "recipes/mine.py", line 3, in loss\n'
        "ValueError: shapes differ\n"
        "  → look\n"
        "\n"
        "  files   ~/home/runs/seq2seq-aaaaa\n"
        "  log     turnaround logs seq2seq-aaaaa\n"
        "  why     turnaround why seq2seq-aaaaa"
    )


def test_a_run_that_failed_without_a_word_shows_the_end_of_its_log(journal, submit) -> None:
    submit(RUN, Status.FAILED, reason="killed by SIGKILL", exit_code=3)
    (journal.folder(RUN) / "log.txt").write_text("".join(f"line {n}\n" for n in range(40)))
    lines = told(journal, journal.run(RUN)).splitlines()
    assert lines[0].endswith(": killed by SIGKILL")
    assert lines[2:14] == [f"  line {n}" for n in range(28, 40)]


def test_a_run_that_was_stopped_says_how_to_go_on(journal, submit, training) -> None:
    submit(RUN, Status.RUNNING)
    journal.append(RUN, *training())
    journal.mark(RUN, Status.STOPPED, "stopped with Ctrl-C", attempt=1, exit_code=75)
    journal.update(RUN, started=100.0, ended=172.0)
    assert told(journal, journal.run(RUN)) == (
        "seq2seq-aaaaa STOPPED after 1m12s: step 1,620, 103,680 examples, stopped with Ctrl-C\n"
        "\n"
        "  valid  loss 0.6412  bleu 71.31\n"
        "\n"
        "  files   ~/home/runs/seq2seq-aaaaa\n"
        "  log     turnaround logs seq2seq-aaaaa\n"
        "  go on   turnaround resume seq2seq-aaaaa"
    )


def test_a_run_under_way_says_how_far_it_is(journal, submit, training, plan) -> None:
    submit(RUN, Status.RUNNING)
    journal.append(RUN, *training())
    run = journal.run(RUN)
    assert closing(journal, run, latest(journal, run, plan.budget)) == (
        "seq2seq-aaaaa RUNNING: step 1,620, 103,680 examples, 56s left (39s–1m20s)\n"
        "\n"
        "  valid  loss 0.6412  bleu 71.31\n"
        "\n"
        "  files   ~/home/runs/seq2seq-aaaaa\n"
        "  watch   turnaround watch seq2seq-aaaaa\n"
        "  stop    turnaround stop seq2seq-aaaaa"
    )


def test_what_was_between_attempts_does_not_count(journal, submit) -> None:
    submit(RUN, Status.RUNNING)
    words = [
        (100, "RUNNING"),
        (110, "STOPPED"),
        (5000, "QUEUED"),
        (5001, "RUNNING"),
        (5006, "FAILED"),
    ]
    told_before = journal.folder(RUN) / "events.jsonl"
    told_before.unlink()
    for moment, status in words:
        journal.append(RUN, Event("status", {"status": status, "reason": ""}, moment, 1))
    journal.update(RUN, status="FAILED", attempt=2, started=100.0, ended=5006.0, exit_code=3)
    assert told(journal, journal.run(RUN)).startswith("seq2seq-aaaaa FAILED after 15s")


def test_a_recipe_without_answers_is_not_offered_to_be_tried(journal, trained, plan) -> None:
    for number, (content, offered) in enumerate([("x = 1", False), ("def answer(self):", True)]):
        recipes = journal.root / "snapshots" / f"5{number}" / "tree" / "recipes"
        recipes.mkdir(parents=True)
        (recipes / "seq2seq.py").write_text(content)
        place = replace(plan.place, snapshot=f"5{number}")
        run = trained(f"seq2seq-{number}", replace(plan, place=place))
        assert ("turnaround try" in told(journal, run)) is offered
