"""The whole path in this process, without Ray."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trials import CONTEXT, PROJECT, ddp, trial_plan, without_home
from turnaround.errors import JournalError
from turnaround.journal import Journal, new_id
from turnaround.launch import inline
from turnaround.spec import Budget, Checkpoint, Evaluate, Event, Plan, Recipe, Status

SHORT = Budget(steps=4)


def plan(**changes: Any) -> Plan:
    """A short plan whose code is the project itself."""
    made = trial_plan(**{"budget": SHORT, "evaluate": Evaluate(every=2), **changes})
    cluster = replace(made.cluster, name="inline")
    return replace(made, cluster=cluster, place=replace(made.place, snapshot=None))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def carry_out(journal: Journal, plan: Plan, watch: inline.Watch = lambda event: None) -> str:
    """The id of a run that has been carried out."""
    inline.run(plan, journal, watch)
    return journal.runs()[0].id


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def when(happened: Callable[[Event], bool], act: Callable[[], None]) -> inline.Watch:
    """Act the first time that an event is such a one."""
    waiting = [act]

    def watch(event: Event) -> None:
        if waiting and happened(event):
            waiting.pop()()

    return watch


def test_a_run_is_carried_out_and_its_end_is_in_the_journal(journal: Journal) -> None:
    assert inline.run(plan(), journal, lambda event: None) == 0
    (row,) = journal.runs()
    assert (row.status, row.attempt, row.exit_code) == (Status.SUCCEEDED, 1, 0)
    assert row.summary["steps"] == 4
    assert row.owner.startswith(f"{os.getpid()}:")
    assert row.started is not None
    assert row.ended is not None


def test_who_watches_hears_what_the_event_file_holds(journal: Journal) -> None:
    heard: list[Event] = []
    run = carry_out(journal, plan(), heard.append)
    queued, *rest = journal.events(run)
    assert queued.data["status"] == Status.QUEUED
    assert kinds(rest) == kinds(heard)
    assert [e.data["status"] for e in heard if e.kind == "status"] == ["RUNNING", "SUCCEEDED"]


def test_the_other_ranks_are_processes_of_their_own_of_which_none_is_left(
    journal: Journal,
) -> None:
    before, heard = threading.active_count(), list[Event]()
    run = carry_out(journal, plan(layout=ddp(2)), heard.append)
    assert journal.run(run).status is Status.SUCCEEDED
    workers = {event.rank: event.data["pid"] for event in heard if event.kind == "worker"}
    assert workers[0] == os.getpid()
    assert workers[1] != os.getpid()
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def apart(act: Callable[..., None], *words: Any) -> None:
    """In a process that has imported torch and what stands at the top of this file."""
    process = CONTEXT.Process(target=act, args=words)
    with without_home():
        process.start()
    process.join(100)
    assert process.exitcode == 0


def _at_a_terminal(run: str, home: Path) -> None:
    with (home / "typed").open() as typed, (home / "shown").open("w") as shown:
        os.dup2(typed.fileno(), 0)
        os.dup2(shown.fileno(), 1)
        sys.stdin, sys.stdout = typed, shown
        inline.resume(run, Journal(home), lambda event: None)


def test_a_breakpoint_stops_in_the_terminal(journal: Journal, tmp_path: Path) -> None:
    """Rank 0 is the process that was started, with its standard input."""
    recipe = (PROJECT / "recipes" / "digits.py").read_text()
    file = tmp_path / "project" / "recipes" / "digits.py"
    file.parent.mkdir(parents=True)
    file.write_text(recipe.replace("time.sleep(self.config.pause)", "breakpoint()"))
    place = replace(plan().place, project=str(tmp_path / "project"))
    submitted = journal.submit(plan(place=place), new_id("digits"))
    (tmp_path / "typed").write_text("p batch.digits.shape\nq\n")
    apart(_at_a_terminal, submitted.id, tmp_path)
    assert "torch.Size([" in (tmp_path / "shown").read_text()
    row = journal.run(submitted.id)
    assert (row.status, row.reason) == (Status.STOPPED, "the debugger was left")


def test_a_failure_is_the_runs_reason(journal: Journal) -> None:
    run = carry_out(journal, plan(evaluate=Evaluate(score="rigth")))
    row = journal.run(run)
    assert (row.status, row.exit_code) == (Status.FAILED, 2)
    assert row.reason == "evaluate.score=rigth is not among the scores"


@pytest.mark.slow
def test_of_a_gang_the_rank_that_failed_by_itself_is_the_reason(
    journal: Journal, tmp_path: Path
) -> None:
    recipe = (PROJECT / "recipes" / "digits.py").read_text()
    file = tmp_path / "project" / "recipes" / "digits.py"
    file.parent.mkdir(parents=True)
    fault = "torch.distributed.get_rank() and oops"
    file.write_text(recipe.replace("time.sleep(self.config.pause)", fault))
    place = replace(plan().place, project=str(tmp_path / "project"))
    row = journal.run(carry_out(journal, plan(place=place, layout=ddp(2))))
    assert (row.status, row.exit_code) == (Status.FAILED, 1)
    assert row.reason == "NameError: name 'oops' is not defined"


def test_a_stopped_run_goes_on_where_it_stopped(journal: Journal) -> None:
    long = plan(
        budget=Budget(steps=40),
        evaluate=Evaluate(every=40),
        checkpoint=Checkpoint(every=40),
        recipe=Recipe("digits", {"pause": 0.01}),
    )
    tenth = when(
        lambda e: e.kind == "metrics" and e.data["step"] == 10,
        lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    assert inline.run(long, journal, tenth) == 75
    (row,) = journal.runs()
    assert (row.status, row.exit_code, row.attempt) == (Status.STOPPED, 75, 1)
    said, _, step = row.reason.rpartition(" ")
    assert said == "stopped after step"
    assert 10 <= int(step) < 40  # points of fast steps travel together
    heard: list[Event] = []
    assert inline.resume(row.id, journal, heard.append) == 0
    assert next(e.data["step"] for e in heard if e.kind == "metrics") == int(step) + 1
    (row,) = journal.runs()
    assert (row.status, row.attempt, row.reason) == (Status.SUCCEEDED, 2, "")


@pytest.mark.parametrize(
    "then",
    [
        "time.sleep(60)",
        "try: time.sleep(60)\nexcept KeyboardInterrupt: pass",
        "try: time.sleep(60)\nexcept KeyboardInterrupt: raise RecursionError from None",
    ],
)
def test_ctrl_c_while_torch_is_imported_stops_the_run(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"slow_{len(then)}"
    lines = ["import os, signal, time", "os.kill(os.getpid(), signal.SIGINT)", then]
    (tmp_path / f"{name}.py").write_text("\n".join([*lines, "def work(*_): return 0"]))
    heard: list[Event] = []
    assert inline.run(replace(plan(), entry=f"{name}:work"), journal, heard.append) == 130
    (row,) = journal.runs()
    told = (row.status, row.exit_code, row.reason)
    assert told == (Status.STOPPED, 130, "stopped with Ctrl-C")
    assert heard[-1].data["status"] == Status.STOPPED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert inline.resume(row.id, journal, lambda event: None) == 130


def test_nobody_resumes_a_run_that_somebody_carries_out(journal: Journal) -> None:
    refused: list[str] = []

    def meddle() -> None:
        (row,) = journal.runs()
        with pytest.raises(JournalError) as caught:
            inline.resume(row.id, journal, lambda event: None)
        refused.append(caught.value.message)

    run = carry_out(journal, plan(), when(lambda e: e.kind == "metrics", meddle))
    assert refused == [f"run {run} is being carried out by process {os.getpid()}"]


def test_a_run_whose_process_was_killed_can_be_resumed(journal: Journal) -> None:
    submitted = journal.submit(plan(), new_id("digits"), owner="1:0.0")
    journal.mark(submitted.id, Status.RUNNING, attempt=1)
    assert inline.resume(submitted.id, journal, lambda event: None) == 0
    assert journal.run(submitted.id).attempt == 2


def test_events_that_a_full_disk_did_not_take_are_kept_for_later(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = os.write, [True]

    def refusing(descriptor: int, data: bytes) -> int:
        if full[0] and b'"kind": "metrics"' in data:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    def emptied() -> None:
        full[0] = False

    monkeypatch.setattr(os, "write", refusing)
    run = carry_out(journal, plan(), when(lambda e: e.kind == "checkpoint", emptied))
    seqs = [event.seq for event in journal.events(run) if event.seq]
    assert seqs == list(range(1, len(seqs) + 1))


def _loaded(file: Path) -> None:
    file.write_text(" ".join(sys.modules))


def test_neither_ray_nor_mlflow_is_imported(tmp_path: Path) -> None:
    apart(_loaded, tmp_path / "loaded")
    loaded = set((tmp_path / "loaded").read_text().split())
    assert {"turnaround.launch.inline", "turnaround.worker"} <= loaded
    assert not {"ray", "mlflow", "hydra"} & loaded
