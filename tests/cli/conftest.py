"""Synthetic journals, and the command line in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.cli import main
from turnaround.journal import Journal, Run
from turnaround.spec import Budget, Evaluate, Event, Place, Plan, Recipe, Status

PLAN = replace(
    example_plan(),
    recipe=Recipe("seq2seq", {"width": 64}),
    budget=Budget(steps=3000),
    evaluate=Evaluate(score="bleu"),
    place=Place("/project", "/usr/bin/python3", "recipes/seq2seq.py", "c0de", "da7a"),
    signature="5eed5eed5eed5eed",
)

VALID = {"loss": 0.64123, "bleu": 71.31}
TEST = {"test/loss": 0.65, "test/bleu": 70.04}


@dataclass(frozen=True)
class Said:
    """What a command line printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def journal(tmp_path: Path, well_read: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """An empty journal, which the command line finds as its own."""
    monkeypatch.setenv("TURNAROUND_HOME", str(well_read))
    monkeypatch.setenv("HOME", str(tmp_path))
    return Journal(well_read)


@pytest.fixture
def ask(journal: Journal, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`turnaround WORDS`, in this process."""

    def obey(*words: str) -> Said:
        capsys.readouterr()
        code = main.obey(list(words))
        return Said(code, *capsys.readouterr())

    return obey


@pytest.fixture
def submit(journal: Journal) -> Callable[..., Run]:
    """A run in the journal, as it was asked two hours ago."""

    def make(run: str, status: Status = Status.QUEUED, plan: Plan = PLAN, **fields: Any) -> Run:
        journal.submit(plan, run)
        if status is not Status.QUEUED:
            journal.mark(run, status, fields.pop("reason", ""), attempt=1, started=time.time())
        journal.update(run, submitted=time.time() - 7205, **fields)
        return journal.run(run)

    return make


@pytest.fixture
def trained(journal: Journal, submit: Callable[..., Run]) -> Callable[..., Run]:
    """A run that went well, with all its events."""

    def make(run: str, plan: Plan = PLAN, **fields: Any) -> Run:
        submit(run, Status.RUNNING, plan)
        journal.append(run, *training(), *ending())
        summary = ending()[-1].data
        journal.mark(run, Status.SUCCEEDED, attempt=1, exit_code=0, summary=summary)
        now = time.time()
        journal.update(run, started=now - 7200, ended=now - 7049, **fields)
        return journal.run(run)

    return make


def training(steps: int = 1620) -> list[Event]:
    """The events of a run that is half through."""
    return [
        event("worker", pid=1, host="here", device="cpu", threads=1),
        event("progress", step=10, steps=3000, examples=640, rate=1800.0, loss=5.1),
        event("checkpoint", step=1500, folder="checkpoints/best-00001500", best=True),
        event(
            "metrics",
            step=1500,
            epoch=2.0,
            split="valid",
            values=VALID,
            examples=96000,
            seconds=52.0,
        ),
        event("progress", step=steps, steps=3000, examples=steps * 64, rate=1834.4, loss=0.81312),
    ]


def ending() -> list[Event]:
    """The events at a run's end."""
    rows = [["the small cat sleeps", "le petit chat dort", "le petit chat dort"]]
    values = {"valid/loss": 0.64123, "valid/bleu": 71.31, **TEST}
    return [
        event("samples", step=3000, columns=["source", "target", "model"], rows=rows),
        event(
            "summary", steps=3000, examples=192000, seconds=104.0, values=values, stopped="budget"
        ),
    ]


def event(kind: str, attempt: int = 1, **data: Any) -> Event:
    """An event of now."""
    return Event(kind, data, time.time(), attempt)


@pytest.fixture
def plan() -> Plan:
    """A plan to vary with `replace`."""
    return PLAN


@pytest.fixture(name="event")
def _event() -> Callable[..., Event]:
    return event


@pytest.fixture(name="training")
def _training() -> Callable[..., list[Event]]:
    return training
