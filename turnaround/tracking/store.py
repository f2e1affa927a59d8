"""MLflow behind one tracking URI: a store that is made whole, and takes the same thing twice.

Every method may raise, and may then be called again with the same arguments: MLflow keeps one row
of a metric that arrives twice with the same step, time and value.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import sqlite3
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, RunTag, ViewType
from mlflow.entities import Run as Found
from mlflow.exceptions import MlflowException

from turnaround.tracking.shelf import Shelf
from turnaround.tracking.start import database

# What MLflow answers where an experiment is no more, or is in the bin: no run has been made then.
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else its pages are those of GenAI


class Point(NamedTuple):
    """One value of one metric."""

    key: str
    value: float
    time: float  # seconds since the epoch
    step: int


class Store:
    """The runs, params, metrics and tags at `uri`, through MLflow's own client."""

    def __init__(self, uri: str) -> None:
        self.file = database(uri)
        if self.file:
            _prepare(self.file)
        self.client = MlflowClient(uri)
        self.client.search_experiments(max_results=1)  # a server that is down says so here
        self._experiments: dict[str, str] = {}  # ids, by name

    def create(self, experiment: str, start: float, tags: Mapping[str, str]) -> Found:
        """A new run, with these tags from the first."""
        told = {"mlflow.user": _user(), **tags}
        if known := self._experiments.get(experiment):
            try:
                return self.client.create_run(known, _ms(start), tags=told)
            except MlflowException as error:  # a reply that was lost says nothing of the run
                if error.error_code not in GONE:
                    raise
        fresh = self._experiments[experiment] = self.experiment(experiment)
        return self.client.create_run(fresh, _ms(start), tags=told)

    def made(self, experiment: str, run: str) -> Found | None:
        """The MLflow run that stands for our `run`, if there is one."""
        ours, where = f"tags.`turnaround.run` = '{run}'", [self.experiment(experiment)]
        return next(iter(self.client.search_runs(where, ours, ViewType.ALL, max_results=1)), None)

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name: made, or taken out of the bin, if need be."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, self._artifacts(name), KIND))
        if found.lifecycle_stage == LifecycleStage.DELETED:
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def find(self, run_id: str) -> Found | None:
        """The MLflow run, deleted or not; None when the store has never heard of it."""
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def write(
        self,
        run_id: str,
        points: Iterable[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add to a run, all in one go."""
        self.client.log_batch(
            run_id,
            metrics=[Metric(p.key, p.value, _ms(p.time), p.step) for p in points],
            params=[Param(*item) for item in (params or {}).items()],
            tags=[RunTag(*item) for item in (tags or {}).items()],
        )

    def turn(self, run_id: str, status: str, end: float | None) -> None:
        """Set MLflow's status, and the time of the end if there was one."""
        if end is None:
            self.client.update_run(run_id, status)
        else:
            self.client.set_terminated(run_id, status, _ms(end))

    def shelf(self, found: Found) -> Shelf:
        """Where the files of that run go."""
        place = urllib.parse.urlparse(found.info.artifact_uri)
        here = self.file is not None and place.scheme == "file" and not place.netloc
        folder = Path(urllib.request.url2pathname(place.path)) if here else None
        return Shelf(self.client, found.info.run_id, folder)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Somebody has the database open meanwhile.

        MLflow opens it anew for each request, and whoever closes it last writes its log back and
        waits for the disk: 15 times a run. For longer than a round nobody keeps it, as the file
        may be replaced.
        """
        with contextlib.ExitStack() as stack:
            if self.file is not None:
                with contextlib.suppress(sqlite3.Error):  # it is gone, or not a database
                    where = f"{self.file.absolute().as_uri()}?mode=rw"
                    db = contextlib.closing(sqlite3.connect(where, uri=True, timeout=20))
                    stack.enter_context(db).execute("SELECT 1 FROM sqlite_master").fetchone()
            yield

    def _artifacts(self, experiment: str) -> str | None:
        """Next to the database, where one looks for it; a server knows a place of its own."""
        if self.file is None:
            return None
        folder = re.sub(r"[^\w.-]+", "-", experiment).lstrip(".-") or "experiment"
        return (self.file.parent / "mlartifacts" / folder).as_uri()


def _prepare(file: Path) -> None:
    """A database whose readers do not hold up its writer; a new one appears whole or not at all."""
    if not file.exists() or file.stat().st_size == 0:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(file.parent):
            # MLflow's default experiment gets its artifacts below the current folder.
            fresh = Path(folder, file.name)
            MlflowClient(f"sqlite:///{fresh}")  # 68 migrations: 0.9 s
            whole = shutil.copy(fresh, file.with_name(f".{file.name}.{os.getpid()}"))
        Path(whole).replace(file)
    _wal(file)


def _wal(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, timeout=20)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN IMMEDIATE")  # can it be written?
        db.rollback()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as containers have them
        return str(os.getuid())


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
