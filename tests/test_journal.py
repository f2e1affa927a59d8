"""The record of runs: a folder each, and an index over them."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround.cost import asked, cost
from turnaround.errors import JournalError
from turnaround.journal import EventFile, Journal, database, new_id, read_events
from turnaround.spec import Cluster, Event, Status, Tracking, to_json


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def test_a_submitted_run_is_queued_and_its_plan_can_be_read_back(journal: Journal) -> None:
    run = journal.submit(example_plan(), "reverse-abcde")
    assert journal.run("reverse-abcde") == run
    assert journal.plan("reverse-abcde") == example_plan()
    assert [event.data["status"] for event in journal.events(run.id)] == ["QUEUED"]


def test_a_run_is_found_by_the_beginning_of_its_id_or_by_its_name(journal: Journal) -> None:
    journal.submit(replace(example_plan(), name="best"), "reverse-abcde")
    journal.submit(example_plan(), "reverse-abxyz")
    assert journal.find("reverse-abc").id == "reverse-abcde"
    assert journal.find("best").id == "reverse-abcde"
    with pytest.raises(JournalError, match="ambiguous: reverse-abxyz, reverse-abcde"):
        journal.find("reverse-ab")
    with pytest.raises(JournalError, match="did you mean reverse-abcde"):
        journal.find("reverse-abcdf")


@pytest.mark.parametrize("text", ["%", "_", "reverse_abcde", "' OR 1=1 --"])
def test_a_pattern_is_not_an_id(journal: Journal, text: str) -> None:
    journal.submit(example_plan(), "reverse-abcde")
    with pytest.raises(JournalError):
        journal.find(text)


def test_the_queue_goes_by_priority_and_then_by_time(journal: Journal) -> None:
    urgent = replace(example_plan(), cluster=Cluster(priority=5))
    for name, plan in {"a": example_plan(), "b": example_plan(), "c": urgent}.items():
        journal.submit(plan, name)
    assert [run.id for run in journal.queue()] == ["c", "a", "b"]


def test_an_answer_is_a_run_that_succeeded_or_still_may(journal: Journal) -> None:
    plan = example_plan()
    journal.submit(plan, "a")
    journal.mark("a", Status.FAILED)
    assert journal.answer(plan.signature) is None
    journal.submit(plan, "b")
    assert journal.answer(plan.signature).id == "b"  # type: ignore[union-attr]  # it is there
    journal.submit(plan, "c")
    journal.mark("c", Status.SUCCEEDED)
    assert journal.answer(plan.signature).id == "c"  # type: ignore[union-attr]  # it is there


def test_a_torn_line_waits_for_its_rest(journal: Journal) -> None:
    run = journal.submit(example_plan(), "a")
    path = journal.folder(run.id) / "events.jsonl"
    event = Event("notice", {"message": "half"}, 1.0)
    text = to_json(event) + "\n"
    with path.open("a") as file:
        file.write(text[:20])
    *_, (_, offset) = read_events(path)
    assert list(read_events(path, offset)) == []
    with path.open("a") as file:
        file.write(text[20:])
    assert [found for found, _ in read_events(path, offset)] == [event]


@contextmanager
def room(path: Path, size: int) -> Iterator[None]:
    """Files may grow to so many bytes more than this one has: as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_full_disk_would_not_take_is_offered_again_and_is_there_once(
    journal: Journal,
) -> None:
    run = journal.submit(example_plan(), "a")
    path = journal.folder(run.id) / "events.jsonl"
    told = [Event("notice", {"message": "x" * 30}, 1.0, seq=number) for number in range(4)]
    lines = [to_json(event).encode() for event in told]
    with EventFile(journal.folder(run.id)) as file:
        with room(path, 2 * len(lines[0]) + 10):  # the third is cut
            rest = file.keep(lines)
            assert [*rest] == lines[2:]
            with pytest.raises(OSError, match="File too large"):
                file.keep(rest)
        with EventFile(journal.folder(run.id)) as other:  # the scheduler, meanwhile
            other.append(Event("notice", {}, 2.0, seq=9))
        assert file.keep(rest) == []
    seen = [event.seq for event in journal.events("a") if event.kind == "notice"]
    assert seen == [0, 1, 9, 2, 3]


def test_a_change_that_a_full_disk_would_not_take_has_not_happened(journal: Journal) -> None:
    run = journal.submit(example_plan(), "a")
    path = journal.folder(run.id) / "events.jsonl"
    with room(path, 10), pytest.raises((OSError, JournalError)):
        journal.mark("a", Status.RUNNING, "x" * 1000, attempt=1)
    assert journal.run("a") == run
    journal.mark("a", Status.RUNNING, attempt=1)
    said = [event.data["status"] for event in journal.events("a")]
    assert said == ["QUEUED", "RUNNING"]


def test_a_journal_on_a_full_disk_says_what_to_do(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (journal.root / "journal.db").mkdir(parents=True)  # cannot be opened, for whatever reason
    with pytest.raises(JournalError, match="cannot be opened") as error:
        journal.runs()
    assert error.value.hint == "set TURNAROUND_HOME to a folder that can be written"
    monkeypatch.setattr(database, "_FULL", shutil.disk_usage(journal.root).total)
    with pytest.raises(JournalError, match="cannot be opened") as error:
        journal.runs()
    assert error.value.hint == "free some space, and try again"


def test_a_journal_that_somebody_holds_says_so_and_changes_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    Journal(journal.root).submit(example_plan(), "a")
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="cannot be written: database is locked"):
            journal.submit(example_plan(), "b")
        with pytest.raises(JournalError, match="cannot be written: database is locked"):
            journal.mark("a", Status.FAILED)
        assert journal.run("a").status is Status.QUEUED
        other.execute("ROLLBACK")
    assert not journal.folder("b").exists()
    journal.submit(example_plan(), "b")
    assert [event.data["status"] for event in journal.events("a")] == ["QUEUED"]


def test_a_journal_that_two_make_at_once_is_made(tmp_path: Path) -> None:
    """Whoever holds it while the other turns to a write-ahead log is waited for."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE held (name)")
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        submitted = Journal(tmp_path).submit(example_plan(), "a")
    assert Journal(tmp_path).runs() == [submitted]


def test_a_damaged_journal_is_named_with_what_to_do(journal: Journal) -> None:
    for number in range(20):
        journal.submit(example_plan(), f"run-{number}")
    del journal._database
    content = bytearray(journal.path.read_bytes())
    content[8 * 4096 :] = bytes(len(content) - 8 * 4096)
    journal.path.write_bytes(content)
    for act in (
        lambda: Journal(journal.root).runs(),
        lambda: Journal(journal.root).submit(example_plan(), "b"),
    ):
        with pytest.raises(JournalError, match=r"is malformed\n  → move journal.db\* away"):
            act()


def test_an_end_that_was_written_before_its_writer_was_killed_is_written_once(
    journal: Journal,
) -> None:
    journal.submit(example_plan(), "a")
    journal.append("a", Event("status", {"status": "SUCCEEDED", "reason": ""}, time.time(), 1))
    journal.mark("a", Status.SUCCEEDED, attempt=1)
    assert journal.run("a").status is Status.SUCCEEDED
    said = [event.data["status"] for event in journal.events("a")]
    assert said == ["QUEUED", "SUCCEEDED"]


def test_a_run_whose_folder_is_gone_comes_to_its_end(journal: Journal) -> None:
    journal.submit(example_plan(), "a")
    shutil.rmtree(journal.folder("a"))
    journal.mark("a", Status.FAILED)
    assert journal.run("a").status is Status.FAILED


def test_what_goes_on_again_is_not_taken_for_recorded(journal: Journal) -> None:
    plan = replace(example_plan(), tracking=Tracking(uri="sqlite:////mlflow.db"))
    told = Event("recorded", {"files": 0.1}, time.time(), 1)
    journal.submit(plan, "a")
    journal.mark("a", Status.STOPPED, attempt=1)
    seen = journal.run("a")
    journal.update("a", ended=None)  # as a resume begins
    journal.record(seen, told)
    journal.mark("a", Status.RUNNING, attempt=2)
    journal.mark("a", Status.STOPPED, attempt=2)
    journal.record(seen, told)
    assert not journal.run("a").recorded
    assert not [*journal.events("a", kinds=["recorded"])]
    journal.record(journal.run("a"), told)
    assert journal.run("a").recorded
    assert [*journal.events("a", kinds=["recorded"])] == [told]


def test_many_writers_lose_nothing(journal: Journal) -> None:
    run = journal.submit(example_plan(), "a")

    def write(rank: int) -> None:
        for number in range(200):
            journal.append(run.id, Event("notice", {}, time.time(), rank=rank, seq=number))

    threads = [threading.Thread(target=write, args=[rank]) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [(e.rank, e.seq) for e in journal.events(run.id) if e.kind == "notice"]
    assert sorted(seen) == [(rank, number) for rank in range(4) for number in range(200)]


def test_a_journal_of_a_newer_version_is_refused(journal: Journal) -> None:
    journal.submit(example_plan(), "a")
    with sqlite3.connect(journal.path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(JournalError, match=r"newer turnaround \(format 99"):
        journal.runs()


def test_reading_an_empty_home_makes_nothing(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").runs() == []
    assert not (tmp_path / "none").exists()


def test_ids_can_be_read_aloud() -> None:
    assert not set(new_id("x").removeprefix("x-")) & set("01loi")


def test_an_id_that_is_taken_is_drawn_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = iter("aaaaa" + "aaaaabbbbb" + "aaaaabbbbbccccc")
    monkeypatch.setattr("turnaround.journal.row.secrets.choice", lambda _: next(letters))
    for run in ("reverse-aaaaa", "reverse-bbbbb", "reverse-ccccc"):
        assert journal.submit(example_plan(), journal.new_id("reverse")).id == run
        shutil.rmtree(journal.folder("reverse-aaaaa"), ignore_errors=True)  # its row is left
    monkeypatch.setattr("turnaround.journal.row.secrets.choice", lambda _: "a")
    with pytest.raises(JournalError, match="no free id for a run of reverse"):
        journal.new_id("reverse")


def test_what_a_run_cost_is_remembered_and_follows_from_its_folder(journal: Journal) -> None:
    run = journal.submit(example_plan(), "a")
    journal.mark(run.id, Status.RUNNING, attempt=1)
    rows = {"spawn": 0.1, "build": 0.4, "compute": 3.0, "evaluate": 1.0}
    word = {"step": 10, "began": time.time(), "rows": rows}
    summary = {"steps": 10, "seconds": 4.0, "values": {}}
    now = time.time()
    journal.append("a", Event("ledger", word, now, 1), Event("summary", summary, now, 1))
    journal.mark("a", Status.SUCCEEDED, attempt=1, ended=time.time() + 5)
    journal.submit(example_plan(), "b")
    row, (past,) = journal.run("a"), journal.history("reverse")
    assert past.cost == row.cost == cost(journal.events("a"), row.started or 0, row.ended or 0)
    assert past.cost["stepping"] == 3.0
    assert past.asked == asked(journal.plan("a"))
    assert journal.history("another") == []


def test_a_run_without_an_account_is_no_example(journal: Journal) -> None:
    for run, status in {"a": Status.SUCCEEDED, "b": Status.FAILED}.items():
        journal.submit(example_plan(), run)
        journal.mark(run, Status.RUNNING, attempt=1)
        journal.mark(run, status, attempt=1)
    assert journal.history("reverse") == []


def test_a_journal_of_the_first_format_is_read_and_goes_on(journal: Journal) -> None:
    journal.submit(example_plan(), "a")
    with sqlite3.connect(journal.path) as db:
        for index in ("by_submitted", "by_name", "by_cost"):
            db.execute(f"DROP INDEX {index}")
        for column in ("asked", "cost"):
            db.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        db.execute("PRAGMA user_version=1")
    assert journal.run("a").asked == {}
    journal.submit(example_plan(), "b")
    assert [run.id for run in journal.runs()] == ["b", "a"]
    assert journal.run("b").asked == asked(example_plan())


def test_everyday_questions_use_an_index(journal: Journal) -> None:
    journal.submit(example_plan(), "a")
    questions = {
        "by_submitted": "SELECT * FROM runs ORDER BY submitted DESC LIMIT 20",
        "by_name": "SELECT * FROM runs WHERE name='wide' ORDER BY submitted DESC LIMIT 20",
        "by_cost": "SELECT asked FROM runs WHERE recipe='x' AND cost<>'{}' ORDER BY ended DESC",
    }
    with sqlite3.connect(journal.path) as db:
        for index, question in questions.items():
            told = db.execute(f"EXPLAIN QUERY PLAN {question}").fetchall()
            assert index in str(told), told
