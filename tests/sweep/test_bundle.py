"""Trials that are trained as one: what becomes of each, with a stand-in for the pool."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.engine.fused.trials import blobs
from tests.engine.trials import PROJECT
from turnaround import fusion
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run, new_id
from turnaround.launch.pool import Pool
from turnaround.signature import signature
from turnaround.spec import Assignment, Plan, Status
from turnaround.sweep.bundle import Bundles, shared
from turnaround.sweep.outcome import devices

SWEEP = "sweep-22222"


class Stand:
    """Takes runs down as the pool does, and carries them out when it is told."""

    def __init__(self, home: Path) -> None:
        self.journal = Journal(home)
        self.stopped: list[str] = []

    def submit(self, plan: Plan, again: bool = False) -> tuple[Run, bool]:
        return self.journal.submit(plan, new_id(plan.recipe.name)), False

    def stop(self, run: str, reason: str = "") -> None:
        self.stopped.append(run)
        self.journal.mark(run, Status.STOPPED, reason, attempt=0, exit_code=75)

    def bundles(self) -> list[Run]:
        return [run for run in self.journal.runs() if run.tags.get("kind") == "bundle"]

    def work(self, run: str, attempt: int = 1, died: bool = False) -> None:
        """An attempt, from start to end; where it `died`, the pool puts it in the queue again."""
        self.journal.mark(run, Status.RUNNING, attempt=attempt)
        plan = self.journal.plan(run)
        rank = Assignment(run, str(self.journal.folder(run)), str(PROJECT), attempt)
        code = fusion.work(plan, rank, lambda text: None)
        status = Status.FAILED if code else Status.SUCCEEDED
        self.journal.mark(
            run, Status.QUEUED if died else status, attempt=attempt, exit_code=code or None
        )


@pytest.fixture
def stand(own: Path) -> Stand:
    return Stand(own)


def bundles(stand: Stand, devices: int = 1) -> Bundles:
    return Bundles(cast(Pool, stand), SWEEP, devices)


def trials(count: int, **changes: Any) -> list[Plan]:
    tags = {"sweep": SWEEP}
    plans = [replace(blobs(seed=i, **changes), tags=tags) for i in range(count)]
    return [replace(plan, signature=signature(repr((plan.optim, plan.seed)))) for plan in plans]


def submitted(hand: Bundles, plans: Sequence[Plan]) -> list[str]:
    return [hand.submit(plan)[0].id for plan in plans]


def test_trials_of_one_shape_become_one_run_and_end_as_ordinary_ones(stand: Stand) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(3))
    hand.tend()
    (carrier,) = stand.bundles()
    assert list(stand.journal.plan(carrier.id).carries) == runs
    stand.work(carrier.id)
    hand.tend()
    for run in runs:
        row = stand.journal.run(run)
        assert (row.status, row.exit_code, row.attempt) == (Status.SUCCEEDED, 0, 1)
        assert row.summary["steps"] == 50
        assert devices(row) == 1 / 3
        steps = [e.data["step"] for e in stand.journal.events(run) if e.kind == "metrics"]
        assert max(steps) == 50
    assert stand.journal.history("blobs") == []


def test_a_trial_whose_id_is_taken_gets_another(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = iter("aaaaa" + "aaaaabbbbb")
    monkeypatch.setattr("turnaround.journal.row.secrets.choice", lambda _: next(letters))
    assert submitted(bundles(stand), trials(2)) == ["blobs-aaaaa", "blobs-bbbbb"]


def test_each_device_that_is_free_gets_its_share(stand: Stand) -> None:
    hand = bundles(stand, devices=2)
    submitted(hand, trials(5))
    hand.tend()
    counts = [len(stand.journal.plan(run.id).carries) for run in stand.bundles()]
    assert sorted(counts) == [2, 3]
    submitted(hand, trials(2, lr=0.5))
    hand.tend()
    assert len(stand.bundles()) == 2


def test_runs_of_other_shapes_go_apart(stand: Stand) -> None:
    hand = bundles(stand, devices=9)
    submitted(hand, [*trials(2), *trials(2, knobs={"width": 8})])
    hand.tend()
    for run in stand.bundles():
        widths = {
            repr(stand.journal.plan(each).recipe) for each in stand.journal.plan(run.id).carries
        }
        assert len(widths) == 1


def test_parts_are_even_and_never_empty() -> None:
    assert [len(part) for part in shared(list("abcdefg"), 3)] == [3, 2, 2]
    assert [*shared([], 3)] == []
    assert [*shared(list("ab"), 0)] == []


def test_a_trial_that_fails_says_why_and_the_others_succeed(stand: Stand) -> None:
    hand = bundles(stand)
    plans = [
        replace(plan, optim=replace(plan.optim, name="sgd", lr=lr))
        for plan, lr in zip(trials(3, knobs={"poison": True}), (0.01, 1e4, 0.01), strict=True)
    ]
    first, wild, last = submitted(hand, plans)
    hand.tend()
    stand.work(stand.bundles()[0].id)
    hand.tend()
    row = stand.journal.run(wild)
    assert (row.status, row.exit_code) == (Status.FAILED, 4)
    assert "the loss is nan" in row.reason
    for run in (first, last):
        assert stand.journal.run(run).status is Status.SUCCEEDED


def test_one_can_be_stopped_and_goes_on_by_itself(stand: Stand) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(3))
    hand.tend()
    hand.stop(runs[1], "stopped by its user")
    stand.work(stand.bundles()[0].id)
    hand.tend()
    row = stand.journal.run(runs[1])
    assert (row.status, row.exit_code, row.reason) == (Status.STOPPED, 75, "stopped by its user")
    assert stand.journal.run(runs[0]).status is Status.SUCCEEDED
    hand.resume(runs[1])
    hand.tend()
    (later,) = [run for run in stand.bundles() if run.status is Status.QUEUED]
    stand.work(later.id)
    hand.tend()
    row = stand.journal.run(runs[1])
    assert (row.status, row.attempt, row.summary["steps"]) == (Status.SUCCEEDED, 2, 50)
    steps = [e.data["step"] for e in stand.journal.events(runs[1]) if e.kind == "metrics"]
    assert len([step for step in steps if step == 2]) == 1  # nothing was trained twice


def test_what_waits_is_stopped_at_once_and_a_bundle_of_none_does_not_start(stand: Stand) -> None:
    hand = bundles(stand)
    (one,) = submitted(hand, trials(1))
    hand.stop(one, "enough")
    hand.tend()
    assert stand.journal.run(one).status is Status.STOPPED
    assert stand.bundles() == []
    with pytest.raises(JournalError, match="is over already"):
        hand.stop(one)
    runs = submitted(hand, trials(2))
    hand.tend()
    for run in runs:
        hand.stop(run, "enough")
    hand.tend()
    assert stand.stopped == [stand.bundles()[0].id]
    hand.tend()
    assert [stand.journal.run(run).status for run in runs] == [Status.STOPPED] * 2


def test_a_driver_that_was_killed_is_replaced_by_one_that_knows(stand: Stand) -> None:
    first = bundles(stand)
    runs = submitted(first, trials(2))
    first.tend()
    late = submitted(first, trials(1, lr=0.5))
    stand.work(stand.bundles()[0].id)
    second = bundles(stand)
    second.tend()
    assert [stand.journal.run(run).status for run in runs] == [Status.SUCCEEDED] * 2
    second.tend()
    assert len(stand.bundles()) == 2
    (carrier,) = [run for run in stand.bundles() if run.status is Status.QUEUED]
    assert list(stand.journal.plan(carrier.id).carries) == late


def test_after_a_crash_only_those_that_had_not_ended_go_on(stand: Stand) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(2))
    hand.tend()
    carrier = stand.bundles()[0].id
    stand.work(carrier, died=True)
    (stand.journal.folder(runs[1]) / "ended").unlink()  # as if it had not come so far
    stand.work(carrier, attempt=2)
    hand.tend()
    attempts = {
        run: {e.attempt for e in stand.journal.events(run) if e.kind == "worker"} for run in runs
    }
    assert attempts == {runs[0]: {1}, runs[1]: {1, 2}}
    assert [stand.journal.run(run).status for run in runs] == [Status.SUCCEEDED] * 2


def test_a_bundle_that_is_lost_takes_its_runs_along(stand: Stand) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(2))
    hand.tend()
    carrier = stand.bundles()[0].id
    stand.journal.mark(carrier, Status.RUNNING, attempt=1)
    hand.tend()
    assert stand.journal.run(runs[0]).status is Status.RUNNING
    stand.journal.mark(carrier, Status.FAILED, "rank 0 died (SIGKILL)", attempt=1, exit_code=3)
    hand.tend()
    for run in runs:
        row = stand.journal.run(run)
        assert (row.status, row.exit_code, row.reason) == (
            Status.FAILED,
            3,
            "rank 0 died (SIGKILL)",
        )


def test_a_full_disk_takes_no_trial_along_and_loses_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(3))
    hand.tend()
    full = errno.ENOSPC, os.strerror(errno.ENOSPC)
    files, write, whole = [stand.journal.folder(run) for run in runs], os.write, Path.write_text
    refused = {"summary": 0, "ended": 0}

    def cut(descriptor: int, text: bytes) -> int:
        """Half of what holds the first run's summary goes in, then for a moment nothing."""
        at = os.readlink(f"/proc/self/fd/{descriptor}")
        if at != str(files[0] / "events.jsonl") or b"summary" not in text:
            return write(descriptor, text)
        refused["summary"] += 1
        if refused["summary"] == 1:
            return write(descriptor, text[: len(text) // 2])
        if refused["summary"] < 3:
            raise OSError(*full)
        return write(descriptor, text)

    def none(self: Path, text: str) -> int:
        if self.parent == files[0] and self.name.startswith("ended"):
            refused["ended"] += 1
            if refused["ended"] < 2:
                raise OSError(*full)
        return whole(self, text)

    monkeypatch.setattr(os, "write", cut)
    monkeypatch.setattr(Path, "write_text", none)
    stand.work(stand.bundles()[0].id)
    hand.tend()
    assert min(refused.values()) > 0
    for run in runs:
        row = stand.journal.run(run)
        assert (row.status, row.reason, row.summary.get("steps")) == (Status.SUCCEEDED, "", 50)
        said = [event.seq for event in stand.journal.events(run) if event.seq]
        assert said == list(range(1, len(said) + 1))


def test_a_run_whose_end_a_full_disk_never_took_goes_on(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = bundles(stand)
    runs = submitted(hand, trials(2))
    hand.tend()
    carrier, whole = stand.bundles()[0].id, Path.write_text

    def none(self: Path, text: str) -> int:
        if self.parent == stand.journal.folder(runs[0]) and self.name.startswith("ended"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(self, text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", none)
        stand.work(carrier, died=True)
    assert stand.journal.run(carrier).exit_code == 3  # of those that the pool tries again
    hand.tend()
    assert stand.journal.run(runs[0]).status is not Status.FAILED
    stand.work(carrier, attempt=2)
    hand.tend()
    assert [stand.journal.run(run).status for run in runs] == [Status.SUCCEEDED] * 2


def test_events_are_lines_of_the_runs_own_files(stand: Stand) -> None:
    hand = bundles(stand)
    (run, _) = submitted(hand, trials(2))
    hand.tend()
    began = time.time()
    stand.work(stand.bundles()[0].id)
    hand.tend()
    lines = (stand.journal.folder(run) / "events.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    numbers = [event["seq"] for event in told if event["seq"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(event["time"] >= began - 5 for event in told)
