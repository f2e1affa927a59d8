"""Runs without an engine: rows and events as the pool and a worker would have written them."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from tests.examples import example_plan
from turnaround.journal import Journal, Run
from turnaround.spec import Budget, Evaluate, Event, Place, Plan, Recipe, Status, Tracking


class Workshop:
    """A project, a home beside it, and the runs of both."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.project.mkdir(parents=True)
        self.home = root / "home"
        self.home.mkdir()
        self.journal = Journal(self.home)
        self.database = self.project / "mlflow.db"
        self.uri = f"sqlite:///{self.database}"

    def rows(self) -> list[tuple[str, int, float, float]]:
        """All metric rows of the store: key, step, value, seconds since the epoch."""
        with closing(sqlite3.connect(self.database)) as db:
            return db.execute("SELECT key, step, value, timestamp / 1e3 FROM metrics").fetchall()

    def processes(self) -> list[int]:
        """The recorders of this home that are alive, those that only look in included."""
        alive = (process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"])
        mine = [p for p in alive if "turnaround.tracking.recorder" in p.info["cmdline"]]
        return [p.pid for p in mine if str(self.home) in p.info["cmdline"]]

    def plan(self, **changes: Any) -> Plan:
        """A small plan whose snapshot is there."""
        snapshot = self.home / "snapshots" / "5na9"
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / "manifest.json").write_text('{"recipes/seq2seq.py": {"size": 9}}')
        (snapshot / "environment.txt").write_text("torch==2.13.0\n")
        (snapshot / "diff.patch").write_text("+ a line\n")
        place = Place(str(self.project), sys.executable, "recipes/seq2seq.py", "c0de", "da7a")
        plan = dataclasses.replace(
            example_plan(),
            recipe=Recipe("seq2seq", {"width": 64, "attention": True, "tokens": "words"}),
            budget=Budget(steps=100),
            evaluate=Evaluate(score="bleu"),
            tracking=Tracking(uri=self.uri),
            place=dataclasses.replace(
                place, snapshot="5na9", git_sha="0123456789abcdef", dirty=True
            ),
            signature="519na7u4e",
            tags={"team": "night"},
            version="0.1.0",
        )
        return dataclasses.replace(plan, **changes)

    def submit(self, run: str, plan: Plan | None = None) -> Run:
        """A run that is running its first attempt."""
        self.journal.submit(plan or self.plan(), run)
        self.start(run)
        (self.journal.folder(run) / "log.txt").write_text("epoch 1\nepoch 2\n")
        return self.journal.run(run)

    def start(self, run: str, attempt: int = 1) -> None:
        """Begin an attempt."""
        self.journal.mark(run, Status.RUNNING, attempt=attempt)

    def train(self, run: str, steps: range, attempt: int = 1, height: float = 1.0) -> None:
        """What a worker says about its steps: the loss of each, and a score of every fifth."""
        self.journal.append(run, *_steps(steps, attempt, height))

    def end(self, run: str, status: Status = Status.SUCCEEDED, reason: str = "") -> None:
        """Samples, a summary, and the end."""
        rows = [["the cat sleeps", "le chat dort", math.nan], ["a dog", "un chien", 0.5]]
        columns = ["source", "translation", "log-probability"]
        summary = {
            "steps": 100,
            "examples": 6400,
            "seconds": 12.5,
            "values": {"valid/bleu": 0.9, "test/bleu": 0.875},
            "stopped": "budget",
        }
        samples = {"step": 100, "columns": columns, "rows": rows}
        spent = {"spawn": 0.05, "build": 0.4, "compute": 10.5, "log": 0.01, "optimize": 1.5}
        now = time.time()
        ledger = {"step": 100, "began": now - sum(spent.values()), "rows": spent}
        said = {"samples": samples, "summary": summary, "ledger": ledger}
        self.journal.append(run, *(Event(kind, data, now) for kind, data in said.items()))
        self.journal.mark(run, status, reason, summary=summary)


def _steps(steps: range, attempt: int, height: float) -> Iterator[Event]:
    now = time.time()
    for step in steps:
        common = {"step": step, "epoch": step / 50, "examples": step * 64, "seconds": step / 8}
        values = {"loss": height * math.exp(-step / 40)}
        data = {**common, "split": "train", "values": values}
        yield Event("metrics", data, now + step / 1000, attempt, seq=step)
        if step % 5 == 0:
            values = {"loss": 1.1 * values["loss"], "bleu": 1 - values["loss"]}
            data = {**common, "split": "valid", "values": values}
            yield Event("metrics", data, now + step / 1000, attempt, seq=step)


def make_store(file: Path) -> None:
    """An empty MLflow store. MLflow is imported with its own warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from turnaround.tracking.store import Store

        Store(f"sqlite:///{file}")
