import json
from dataclasses import replace
from datetime import datetime

from turnaround.cli.verbs import plan as plans
from turnaround.cli.views import table
from turnaround.journal import Journal
from turnaround.signature import signature
from turnaround.spec import Status, Tracking

URI = "sqlite:////project/mlflow.db"


def test_everything_about_a_run_is_shown(ask, trained, plan) -> None:
    tracked = replace(
        plan,
        name="wide",
        tags={"team": "nlp"},
        tracking=Tracking(uri=URI),
        place=replace(plan.place, git_sha="0123456789abcdef", dirty=True),
    )
    trained("seq2seq-aaaaa", tracked, submitted=1_700_000_000.0)
    said = ask("show", "seq2seq-a")
    assert said.code == 0
    assert said.out.startswith("seq2seq-aaaaa SUCCEEDED after 2m31s: step 3,000, 192,000 examples")
    asked = f"{datetime.fromtimestamp(1_700_000_000).astimezone():%Y-%m-%d %H:%M:%S %Z}"
    ago = said.out.partition(f"{asked} (")[2].partition(" ago")[0]
    assert "from key press to recorded answer\n" in said.out
    assert said.out.partition("turnaround ui\n\n")[2].partition("\ntime ")[0] == (
        "\n".join(table.wrapped(*line, table.WIDEST) for line in plans.lines(tracked))
        + f"\nasked       {asked} ({ago} ago)\n"
        "attempts    1\n"
        f"mlflow      experiment seq2seq in {URI}; still being written\n"
    )


def test_json_holds_row_plan_and_numbers(ask, trained, journal: Journal) -> None:
    trained("seq2seq-aaaaa")
    told = json.loads(ask("show", "seq2seq-aaaaa", "--json").out)
    assert told["plan"]["optim"]["lr"] == 0.001
    assert told["values"]["test/bleu"] == 70.04
    assert told["folder"] == str(journal.folder("seq2seq-aaaaa"))
    assert (told["status"], told["exit_code"], told["step"]) == ("SUCCEEDED", 0, 3000)


def test_json_tells_where_the_time_of_each_attempt_went(
    ask, submit, journal: Journal, event
) -> None:
    run = submit("seq2seq-aaaaa", Status.RUNNING)
    word = {"step": 9, "began": run.started, "rows": {"compute": 1.5, "data": 0.5}}
    journal.append(run.id, event("ledger", **word))
    told = json.loads(ask("show", run.id, "--json").out)
    (first,) = told["attempts"]
    assert (first["attempt"], first["time"]) == (1, told["time"])
    assert first["time"]["compute"] == told["device_seconds"]["compute"] == 1.5


def test_what_the_user_should_know_is_shown(ask, trained, journal: Journal, event) -> None:
    run = trained("seq2seq-aaaaa")
    journal.append(run.id, event("notice", message="the batch grew from 64 to 256"))
    assert "\nnotice      the batch grew from 64 to 256\n" in ask("show", run.id).out


def test_what_mlflow_has_not_got_is_told(ask, trained, journal: Journal, plan) -> None:
    trained("seq2seq-aaaaa", replace(plan, tracking=Tracking(uri=URI)))
    state = journal.root / "pool" / f"recorder-{signature(URI)}.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"uri": URI, "behind": 1200, "since": 1.0, "error": "disk full"}))
    assert "; 1,200 events wait for it: disk full\n" in ask("show", "seq2seq-aaaaa").out


def test_a_run_that_is_not_there_names_near_ones(ask, submit) -> None:
    submit("seq2seq-aaaaa")
    said = ask("show", "seq2sek-aaaaa")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "JournalError: run seq2sek-aaaaa is not in the journal\n"
        "  → did you mean seq2seq-aaaaa?  (seq2seq-aaaaa)\n"
    )


def test_an_ambiguous_run_names_both(ask, submit) -> None:
    submit("seq2seq-aaaaa")
    submit("seq2seq-aabbb")
    said = ask("show", "seq2seq-aa")
    assert said.code == 2
    assert said.err.endswith("  → give more of its id\n")
    assert "is ambiguous: " in said.err
