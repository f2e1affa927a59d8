"""What arrives in MLflow, whatever happens on the way; real MLflow on sqlite, in this process."""

import dataclasses
import json
import math
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as Found
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from tests.workshop import Workshop
from turnaround.journal.row import COLUMNS
from turnaround.spec import Layout, Optim, Recipe, Status, Tracking
from turnaround.tracking import rounds as rounds_module
from turnaround.tracking.follower import Follower, Progress
from turnaround.tracking.rounds import ROUND, Rounds
from turnaround.tracking.start import HOLD, Lag, batch, lag, left

RUN = "seq2seq-22222"


@pytest.fixture
def rounds(workshop: Workshop) -> Rounds:
    return Rounds(workshop.home, workshop.uri)


@pytest.fixture
def found(workshop: Workshop) -> Callable[[], Found]:
    """The only run in MLflow."""

    def look() -> Found:
        client = MlflowClient(workshop.uri)
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        (run,) = client.search_runs(ids, run_view_type=ViewType.ALL)
        return run

    return look


def finish(rounds: Rounds) -> None:
    """Go round until all is recorded."""
    for _ in range(20):
        if not rounds.go():
            return
    raise AssertionError(f"something is left: {left(rounds.journal, rounds.uri)}")


def artifact(run: Found, name: str) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"), name)


def losses(workshop: Workshop, split: str = "train") -> list[int]:
    """The steps at which a loss was written."""
    return sorted(step for key, step, *_ in workshop.rows() if key == f"{split}/loss")


def test_params_tags_metrics_and_status_arrive(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 101))
    rounds.go()
    assert found().info.status == "RUNNING"
    workshop.end(RUN)
    finish(rounds)
    run = found()
    row = workshop.journal.run(RUN)
    assert row.recorded
    assert run.info.status == "FINISHED"
    assert run.info.run_name == RUN
    assert (run.info.start_time, run.info.end_time) == (
        int((row.started or 0) * 1000),
        int((row.ended or 0) * 1000),
    )
    assert run.data.params["recipe.width"] == "64"
    assert run.data.params["optim.lr"] == "0.001"
    assert run.data.metrics["valid/bleu"] == pytest.approx(1 - math.exp(-100 / 40))
    assert run.data.metrics["epoch"] == 2.0
    assert run.data.metrics["test/bleu"] == 0.875
    assert run.data.metrics["valid/best/bleu"] == 0.9
    tags = {
        "team": "night",
        "turnaround.run": RUN,
        "turnaround.recipe": "seq2seq",
        "turnaround.signature": "519na7u4e",
        "turnaround.status": "SUCCEEDED",
        "turnaround.git_sha": "0123456789abcdef",
        "turnaround.dirty": "true",
        "mlflow.source.git.commit": "0123456789abcdef",
        "mlflow.source.name": "recipes/seq2seq.py",
        "mlflow.note.content": "test/bleu 0.875, valid/bleu 0.9 after 100 steps",
    }
    assert tags.items() <= run.data.tags.items()


def test_each_point_of_a_curve_arrives_with_its_step_and_time(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 1201))  # more than a batch, and more than MLflow takes at once
    workshop.end(RUN)
    finish(rounds)
    assert losses(workshop) == list(range(1, 1201))
    assert losses(workshop, "valid") == list(range(5, 1201, 5))
    said = {e.data["step"]: e for e in workshop.journal.events(RUN) if e.kind == "metrics"}
    for key, step, value, time in workshop.rows():
        if key == "train/loss":
            assert value == math.exp(-step / 40)
            assert time == pytest.approx(said[step].time, abs=2e-3)


def test_files_arrive(workshop: Workshop, rounds: Rounds, found: Callable[[], Found]) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 11))
    workshop.end(RUN)
    finish(rounds)
    run = found()
    plan = json.loads(artifact(run, "config.json").read_text())
    assert plan["recipe"] == {
        "name": "seq2seq",
        "knobs": {"width": 64, "attention": True, "tokens": "words"},
    }
    assert "seq2seq.py" in artifact(run, "manifest.json").read_text()
    assert artifact(run, "environment.txt").read_text() == "torch==2.13.0\n"
    assert artifact(run, "diff.patch").read_text() == "+ a line\n"
    assert artifact(run, "log.txt").read_text() == "epoch 1\nepoch 2\n"
    table = json.loads(artifact(run, "samples.json").read_text())
    assert table["columns"] == ["step", "source", "translation", "log-probability"]
    assert table["data"][0] == [100, "the cat sleeps", "le chat dort", "NaN"]
    assert run.data.tags["mlflow.loggedArtifacts"] == '[{"path": "samples.json", "type": "table"}]'
    for name in ("loss", "bleu"):
        assert artifact(run, f"plots/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_where_the_time_went_arrives_as_metrics(workshop: Workshop, rounds: Rounds) -> None:
    workshop.submit(RUN)
    workshop.end(RUN)
    finish(rounds)
    rows = {key: (step, value) for key, step, value, _ in workshop.rows() if "wall/" in key}
    assert rows["wall/compute"] == (0, 10.5)
    assert rows["wall/build"] == (0, 0.4)
    assert "wall/log" not in rows  # 10 ms: too little to look at
    assert rows["wall/total"][1] == pytest.approx(12.46, abs=0.5)


def test_the_end_of_a_run_is_seen_before_the_next_round(workshop: Workshop, rounds: Rounds) -> None:
    workshop.submit(RUN)
    rounds.go()
    assert not rounds.ended()
    workshop.end(RUN)
    assert rounds.ended()
    finish(rounds)
    assert not rounds.ended()


def test_trials_wait_for_the_end_of_their_sweep(workshop: Workshop, rounds: Rounds) -> None:
    workshop.submit("sweep-abcde", workshop.plan(tags={"kind": "sweep"}))
    workshop.submit(RUN, workshop.plan(tags={"sweep": "sweep-abcde"}))
    rounds.go()
    workshop.end(RUN)
    assert rounds.pause == HOLD
    assert not rounds.ended()
    workshop.end("sweep-abcde")
    assert rounds.ended()
    finish(rounds)
    assert workshop.journal.run(RUN).recorded


def test_a_run_that_somebody_waits_for_waits_for_no_sweep(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.submit("sweep-abcde", workshop.plan(tags={"kind": "sweep"}))
    assert batch(workshop.journal, workshop.uri)
    rounds.go()
    workshop.submit(RUN)
    assert rounds.ended()
    rounds.go()
    assert rounds.pause == ROUND


def test_artifacts_lie_next_to_the_store(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    rounds.go()
    assert artifact(found(), "config.json").is_relative_to(workshop.project / "mlartifacts/seq2seq")


def test_a_password_in_an_address_stays_out_of_the_config(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    recipe = Recipe("seq2seq", {"corpus": "https://me:secret@example.org/corpus"})
    workshop.submit(RUN, workshop.plan(recipe=recipe))
    rounds.go()
    text = artifact(found(), "config.json").read_text()
    assert "https://example.org/corpus" in text
    assert "secret" not in text


def test_the_machine_is_watched_while_a_run_is_running(
    workshop: Workshop, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "1e-6")  # no round is faster
    workshop.submit(RUN)
    for _ in range(4):
        rounds.go()
    seen = [key for key, *_ in workshop.rows()]
    assert seen.count("system/cpu_utilization_percentage") == 3  # the first round opened the store
    assert "system/system_memory_usage_megabytes" in seen
    workshop.end(RUN)
    finish(rounds)
    assert [key for key, *_ in workshop.rows()].count("system/cpu_utilization_percentage") == 3


def test_a_resumed_run_goes_on_as_the_same_run(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 51))
    workshop.end(RUN, Status.STOPPED, "asked")
    finish(rounds)
    first = found()
    assert first.info.status == "KILLED"
    workshop.journal.update(RUN, recorded=False)
    workshop.start(RUN, attempt=2)
    rounds.go()
    assert found().info.status == "RUNNING"
    workshop.train(RUN, range(41, 101), attempt=2)  # ten steps again since the last checkpoint
    workshop.end(RUN)
    finish(rounds)
    assert found().info.run_id == first.info.run_id
    assert found().info.status == "FINISHED"
    assert losses(workshop) == list(range(1, 101))


def test_a_param_that_changed_on_resuming_becomes_a_tag(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    rounds.go()
    plan = workshop.plan(layout=Layout("ddp", 2), optim=Optim(lr=0.5))
    (workshop.journal.folder(RUN) / "plan.json").write_text(json.dumps(dataclasses.asdict(plan)))
    workshop.start(RUN, attempt=2)
    workshop.end(RUN)
    finish(rounds)
    assert found().data.params["optim.lr"] == "0.001"
    assert found().data.tags["resumed.optim.lr"] == "0.5"
    assert found().data.tags["resumed.layout.replicate"] == "2"
    assert "resumed.optim.name" not in found().data.tags


def test_a_run_that_was_resumed_while_its_end_was_written_is_not_taken_for_recorded(
    workshop: Workshop, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.submit(RUN)
    workshop.end(RUN, Status.STOPPED)
    turn = Follower._turn

    def resumed(self: Follower, *rest: Any) -> None:
        workshop.start(RUN, attempt=2)
        turn(self, *rest)

    monkeypatch.setattr(Follower, "_turn", resumed)
    rounds.go()
    assert not workshop.journal.run(RUN).recorded


def test_a_batch_whose_receipt_was_lost_is_written_once(
    workshop: Workshop, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.submit(RUN)
    rounds.go()
    workshop.train(RUN, range(1, 31))
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError("no space left")

        patch.setattr(Follower, "_save", full)
        rounds.go()
    assert losses(workshop) == list(range(1, 31))
    workshop.train(RUN, range(31, 61))
    workshop.end(RUN)
    finish(Rounds(workshop.home, workshop.uri))  # another recorder, which knows nothing of it
    assert losses(workshop) == list(range(1, 61))


def test_a_torn_record_of_progress_loses_and_doubles_nothing(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 31))
    rounds.go()
    (workshop.journal.folder(RUN) / "tracking.json").write_text('{"experiment_id": "1", "ru')
    workshop.end(RUN)
    finish(Rounds(workshop.home, workshop.uri))
    assert found().info.status == "FINISHED"
    assert losses(workshop) == list(range(1, 31))


def test_a_store_that_cannot_be_written_gets_everything_when_it_is_back(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 11))
    rounds.go()
    away = workshop.database.rename(workshop.project / "away.db")
    workshop.database.mkdir()  # neither readable nor writable, for root too
    workshop.train(RUN, range(11, 21))
    rounds.go()
    told = lag(workshop.home, workshop.uri)
    assert told is not None
    assert told.behind == 12
    assert told.since is not None
    assert "unable to open database file" in told.error
    assert rounds.pause == 2.0
    for _ in range(4):
        rounds.go()
    assert rounds.pause == 10.0
    workshop.end(RUN)
    workshop.database.rmdir()
    away.rename(workshop.database)
    finish(rounds)
    assert losses(workshop) == list(range(1, 21))
    assert lag(workshop.home, workshop.uri) is None
    assert rounds.pause == 1.0


def test_a_server_that_is_down_is_noted_at_once(workshop: Workshop) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
    workshop.submit(RUN, workshop.plan(tracking=Tracking(uri=uri)))
    workshop.train(RUN, range(1, 11))
    Rounds(workshop.home, uri).go()
    told = lag(workshop.home, uri)
    assert told is not None
    assert told.behind == 14
    assert "refused" in told.error


@pytest.mark.slow
def test_a_store_that_was_deleted_gets_everything_again(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    workshop.train(RUN, range(1, 11))
    rounds.go()
    workshop.database.unlink()
    workshop.train(RUN, range(11, 21))
    workshop.end(RUN)
    finish(rounds)
    assert losses(workshop) == list(range(1, 21))
    assert found().data.params["optim.lr"] == "0.001"


def test_a_store_is_made_whole_and_with_a_write_ahead_log(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.database.unlink()
    workshop.submit(RUN)
    rounds.go()
    with sqlite3.connect(workshop.database) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    names = {path.name for path in workshop.project.iterdir()}
    assert names - {"mlflow.db-wal", "mlflow.db-shm"} == {"mlflow.db", "mlartifacts"}
    default = MlflowClient(workshop.uri).get_experiment("0")
    assert default.artifact_location.endswith(str(workshop.project / "mlruns/0"))


def test_a_folder_that_is_gone_is_not_made_again(workshop: Workshop, rounds: Rounds) -> None:
    workshop.submit(RUN)
    workshop.database.unlink()
    workshop.project.rmdir()
    rounds.go()
    assert not workshop.project.exists()


def test_one_bad_run_does_not_hold_up_the_others(workshop: Workshop, rounds: Rounds) -> None:
    workshop.submit("seq2seq-good1")
    workshop.submit("seq2seq-bad11")
    workshop.submit("seq2seq-good2")
    (workshop.journal.folder("seq2seq-bad11") / "plan.json").write_text("{}")
    for run in ("seq2seq-good1", "seq2seq-bad11", "seq2seq-good2"):
        workshop.train(run, range(1, 6))
        workshop.end(run)
    for _ in range(4):
        rounds.go()
    assert [run.id for run in left(rounds.journal, rounds.uri)] == ["seq2seq-bad11"]
    told = lag(workshop.home, workshop.uri)
    assert told is not None
    assert told.error.startswith("seq2seq-bad11: PlanError: recipe={} does not fit")
    assert rounds.pause == ROUND
    store = rounds._store
    rounds.go()
    assert rounds._store is store is not None


def test_a_run_that_the_user_deleted_in_mlflow_stays_deleted(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    workshop.submit(RUN)
    rounds.go()
    MlflowClient(workshop.uri).delete_run(found().info.run_id)
    workshop.train(RUN, range(1, 6))
    workshop.end(RUN)
    finish(rounds)
    assert found().info.lifecycle_stage == "deleted"


def test_an_experiment_that_was_deleted_comes_back_with_the_next_run(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.submit(RUN)
    workshop.end(RUN)
    finish(rounds)
    client = MlflowClient(workshop.uri)
    client.delete_experiment("1")
    workshop.submit("seq2seq-33333")
    rounds.go()
    assert client.get_experiment("1").lifecycle_stage == "active"
    assert rounds._lag == Lag(workshop.uri, 0)


def test_queued_runs_and_runs_of_other_stores_are_left_alone(
    workshop: Workshop, rounds: Rounds
) -> None:
    workshop.journal.submit(workshop.plan(), RUN)
    workshop.submit("seq2seq-33333", workshop.plan(tracking=Tracking(uri="sqlite:////other.db")))
    workshop.submit("seq2seq-44444", workshop.plan(tracking=Tracking("none")))
    assert left(rounds.journal, rounds.uri) == []


def test_strange_names_arrive_under_names_that_mlflow_accepts(
    workshop: Workshop, rounds: Rounds, found: Callable[[], Found]
) -> None:
    plan = workshop.plan(
        tags={"who@where": "me", "": "empty"},
        name="épreuve №1",
        tracking=Tracking(uri=workshop.uri, experiment="night: 22 to 7"),
    )
    workshop.submit(RUN, plan)
    workshop.end(RUN)
    finish(rounds)
    assert found().data.tags["who_where"] == "me"
    assert found().info.run_name == "épreuve №1"
    assert artifact(found(), "log.txt").parts[-4] == "night-22-to-7"


@pytest.mark.slow
def test_a_project_may_lie_in_a_folder_with_spaces_and_accents(
    workshop: Workshop, found: Callable[[], Found]
) -> None:
    strange = Workshop(workshop.project / "été 100% #1")
    strange.submit(RUN)
    strange.train(RUN, range(1, 6))
    strange.end(RUN)
    finish(Rounds(strange.home, strange.uri))
    assert losses(strange) == list(range(1, 6))
    assert list(strange.project.glob("mlartifacts/seq2seq/*/artifacts/samples.json"))


def test_a_run_is_made_once_where_the_servers_reply_is_lost(
    workshop: Workshop, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.submit("seq2seq-33333")
    rounds.go()  # its experiment is known now
    make = MlflowClient.create_run

    def lost(self: MlflowClient, *words: Any, **named: Any) -> Found:
        make(self, *words, **named)
        raise MlflowException("API request failed: timed out")

    workshop.submit(RUN)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_run", lost)
        rounds.go()
    workshop.end(RUN)
    workshop.end("seq2seq-33333")
    finish(rounds)
    client = MlflowClient(workshop.uri)
    names = [run.info.run_name for run in client.search_runs(["1"], run_view_type=ViewType.ALL)]
    assert sorted(names) == [RUN, "seq2seq-33333"]


def test_a_sweep_is_there_before_its_trials_however_many_wait(workshop: Workshop) -> None:
    workshop.submit("sweep-abcde", workshop.plan(tags={"kind": "sweep"}))
    workshop.submit(RUN, workshop.plan(tags={"sweep": "sweep-abcde"}))
    columns = ",".join(COLUMNS)
    newer = columns.replace("id", "n", 1).replace("submitted", "submitted + n")
    counted = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n<1200)"
    with closing(sqlite3.connect(workshop.journal.path)) as db, db:
        copied = f"{counted} SELECT {newer} FROM runs, c WHERE id='{RUN}'"
        db.execute(f"INSERT INTO runs ({columns}) {copied}")
    waiting = [run.id for run in left(workshop.journal, workshop.uri)]
    assert waiting[0] == "sweep-abcde"
    assert len(waiting) > 1000


def test_a_run_that_was_made_and_whose_receipt_was_lost_is_made_once(
    workshop: Workshop,
    rounds: Rounds,
    found: Callable[[], Found],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workshop.submit(RUN)
    save = Follower._save

    def killed(self: Follower, progress: Progress) -> None:
        if progress.run_id:
            raise OSError("killed between the two")
        save(self, progress)

    with monkeypatch.context() as patch:
        patch.setattr(Follower, "_save", killed)
        rounds.go()
    first = found().info.run_id
    workshop.train(RUN, range(1, 6))
    workshop.end(RUN)
    finish(Rounds(workshop.home, workshop.uri))  # another recorder, which knows nothing of it
    assert found().info.run_id == first
    assert losses(workshop) == list(range(1, 6))


def test_of_many_runs_those_that_somebody_waits_for_go_first(
    workshop: Workshop, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds.go()
    workshop.submit(RUN)
    trial = workshop.plan(tags={"sweep": "sweep-abcde"})
    for letter in "abcd":
        workshop.submit(f"seq2seq-{letter}", trial)
    for run in left(rounds.journal, rounds.uri):
        workshop.end(run.id)
    with monkeypatch.context() as patch:
        patch.setattr(rounds_module, "ROUND", 0.0)  # one run each round
        rounds.go()
    assert workshop.journal.run(RUN).recorded
    assert len(left(rounds.journal, rounds.uri)) == 4
    assert rounds.pause == 0.0
    finish(rounds)
