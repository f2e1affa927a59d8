from turnaround.cli.verbs import doctor
from turnaround.cli.verbs.doctor import Around
from turnaround.launch.pool import Pool


def test_every_line_begins_with_ok_and_what_was_looked_at(ask, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = ask("doctor")
    assert said.code == 0
    lines = [line.split()[:2] for line in said.out.splitlines() if "→" not in line]
    assert [what for _, what in lines] == list(doctor.CHECKS)
    assert {level for level, _ in lines} <= {"ok", "warn"}
    assert "not up; the first run starts it" in said.out


def test_a_home_that_cannot_be_written_is_bad(ask, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TURNAROUND_HOME", str(tmp_path / "file"))
    said = ask("doctor")
    assert said.code == 3
    assert f"bad   home       {tmp_path}/file cannot be written: File exists\n" in said.out
    assert "                 → set TURNAROUND_HOME to a folder that can be written\n" in said.out


def test_a_missing_library_says_how_to_install_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "ray" else "1.0")
    found = doctor._libraries(Around(tmp_path, tmp_path))
    assert found.found == "torch 1.0, ray missing, mlflow 1.0, hydra-core 1.0"
    assert (found.level, found.advice.split(" -m ")[1]) == ("bad", "pip install ray")


def test_a_pool_that_does_not_answer_or_is_another_version(tmp_path, monkeypatch) -> None:
    status = {"running": True, "pid": 7, "since": 0.0, "inventory": {"cpus": 2, "gpus": 0}}
    status |= {"running_runs": [], "queued_runs": [], "keep_warm": 1800.0, "version": "0"}
    monkeypatch.setattr(Pool, "status", lambda self: status)
    around = Around(tmp_path / "home", tmp_path)
    assert doctor._pool(around).level == "bad"
    status["idle_seconds"] = 3.0
    found = doctor._pool(around)
    assert (found.level, found.advice[:16]) == ("warn", "turnaround down;")


def test_a_store_of_an_older_mlflow_is_named(tmp_path) -> None:
    (tmp_path / "mlruns").mkdir()
    assert doctor._mlflow(Around(tmp_path / "home", tmp_path)).advice == (
        "plain `mlflow ui` shows ./mlruns, not mlflow.db: use turnaround ui"
    )
