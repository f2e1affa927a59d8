"""The record of what was planned, submitted and became of it.

    journal = Journal(home())
    run = journal.submit(plan, "seq2seq-k3x9")     # a folder with plan.json, a row, QUEUED
    journal.append(run.id, Event("metrics", {...}, time.time()))
    for event in journal.events(run.id): ...

A run's own folder (`plan.json`, `events.jsonl`) is the truth; `journal.db` (sqlite, WAL) is the
queue and the index, and can be rebuilt from the folders. Only the control side writes here: the
pool's scheduler and node, and the inline launcher. Reading takes no lock that a writer would wait
for.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turnaround.cost import Past, asked, cost
from turnaround.errors import JournalError, near
from turnaround.spec import Event, Plan, Status, from_json, to_json

SCHEMA = 2  # of journal.db; a journal with a higher one was written by a newer turnaround
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no 0/o, 1/l/i: ids are read aloud and typed
_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, recipe TEXT NOT NULL, name TEXT,
    experiment TEXT NOT NULL, project TEXT NOT NULL,
    signature TEXT NOT NULL, tags TEXT NOT NULL, cluster TEXT NOT NULL, tracking TEXT NOT NULL,
    interpreter TEXT NOT NULL, priority INTEGER NOT NULL, devices INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, attempt INTEGER NOT NULL, failures INTEGER NOT NULL,
    stopping INTEGER NOT NULL, submitted REAL NOT NULL, started REAL, ended REAL,
    exit_code INTEGER, summary TEXT NOT NULL, recorded INTEGER NOT NULL, owner TEXT NOT NULL,
    asked TEXT NOT NULL DEFAULT '{}', cost TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS by_signature ON runs (signature);
CREATE INDEX IF NOT EXISTS by_status ON runs (status);
CREATE INDEX IF NOT EXISTS by_recorded ON runs (recorded, tracking);
CREATE INDEX IF NOT EXISTS by_submitted ON runs (submitted);
CREATE INDEX IF NOT EXISTS by_name ON runs (name);
CREATE INDEX IF NOT EXISTS by_cost ON runs (recipe, ended) WHERE cost<>'{}';
"""
_ADDED = {1: ("asked", "cost")}  # columns, by the format that did not have them
_LATE = 1 << 17  # bytes of an event file in which a run's last words are: 600 events or so


def home() -> Path:
    """`$TURNAROUND_HOME`, or the user's state folder."""
    if asked := os.environ.get("TURNAROUND_HOME"):
        return Path(asked).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "turnaround"


@dataclass(frozen=True)
class Run:
    """One row: a Plan being carried out."""

    id: str
    recipe: str
    name: str | None
    experiment: str
    project: str
    signature: str
    tags: dict[str, str]
    cluster: str
    tracking: str  # MLflow URI, or "" when nothing is tracked
    interpreter: str
    priority: int
    devices: int
    status: Status
    reason: str  # why it waits, failed or stopped; "" when there is nothing to say
    attempt: int  # the latest; 0 before the first
    failures: int  # of machines and workers, not of user code
    stopping: bool  # somebody asked it to stop
    submitted: float
    started: float | None
    ended: float | None
    exit_code: int | None
    summary: dict[str, Any] = field(default_factory=dict)  # of the last `summary` event
    recorded: bool = False  # everything has reached MLflow
    owner: str = ""  # who carries an inline run out: "pid:create time"; else ""
    asked: dict[str, Any] = field(default_factory=dict)  # of the plan, what forecasts go by
    cost: dict[str, float] = field(default_factory=dict)  # seconds by part, once it has succeeded


_COLUMNS = [f.name for f in dataclasses.fields(Run)]
_JSON = ("tags", "summary", "asked", "cost")


class Journal:
    """The journal below one `$TURNAROUND_HOME`."""

    def __init__(self, root: Path) -> None:
        self._db: sqlite3.Connection | None = None  # kept: see `_open`
        self.root = root
        self.path = root / "journal.db"
        self._file: tuple[int, int] | None = None  # that it is open on
        self._guard = threading.RLock()

    # ── folders ──

    def folder(self, run: str) -> Path:
        """The run's own folder."""
        return self.root / "runs" / run

    def plan(self, run: str) -> Plan:
        """The Plan as it was submitted."""
        try:
            return from_json(Plan, (self.folder(run) / "plan.json").read_text())
        except FileNotFoundError:
            raise JournalError(
                f"run {run} has no plan in {self.folder(run)}", f"turnaround rm {run} forgets it"
            ) from None

    # ── rows ──

    def submit(
        self, plan: Plan, run: str, owner: str = "", spans: dict[str, Any] | None = None
    ) -> Run:
        """A new run, QUEUED; `owner` carries it out itself, `spans` is what came before it."""
        folder = self.folder(run)
        folder.mkdir(parents=True)
        _write(folder / "plan.json", to_json(plan))
        if plan.fork:
            self._fork(plan.fork, folder)
        now = time.time()
        row = Run(
            id=run,
            recipe=plan.recipe.name,
            name=plan.name,
            experiment=plan.experiment,
            project=plan.place.project,
            signature=plan.signature,
            tags=plan.tags,
            cluster=plan.cluster.name,
            tracking=(plan.tracking.uri or "") if plan.tracking.name == "mlflow" else "",
            interpreter=plan.place.interpreter,
            priority=plan.cluster.priority,
            devices=plan.devices,
            status=Status.QUEUED,
            reason="",
            attempt=0,
            failures=0,
            stopping=False,
            submitted=now,
            started=None,
            ended=None,
            exit_code=None,
            recorded=plan.tracking.name != "mlflow",
            owner=owner,
            asked=asked(plan),
        )
        marks = ",".join("?" * len(_COLUMNS))
        with self._open(create=True) as db, db:
            db.execute(f"INSERT INTO runs ({','.join(_COLUMNS)}) VALUES ({marks})", _flat(row))
        said = [Event("spans", spans, now)] if spans else []
        self.append(run, *said, Event("status", {"status": row.status, "reason": ""}, now))
        return row

    def _fork(self, source: str, folder: Path) -> None:
        """Checkpoints of another run, up to a step, are this one's too: links, no copies."""
        run, _, step = source.partition("@")
        there, here = self.folder(run) / "checkpoints", folder / "checkpoints"
        last = f"step-{int(step):08d}"
        best = [p.name for p in there.glob("best-????????") if p.name[5:] <= last[5:]]
        if not (there / last).is_dir():
            shutil.rmtree(folder)
            raise JournalError(f"run {run} has no checkpoint of step {step} any more")
        for name in (last, *best):
            shutil.copytree(there / name, here / name, copy_function=os.link)

    def mark(self, run: str, status: Status, reason: str = "", **fields: Any) -> None:
        """Move the run to `status`: a row and an event, of now or of when it `ended`."""
        now = fields.get("ended") or time.time()
        if status is Status.RUNNING:
            fields.setdefault("started", now)
        if status.over:
            fields.setdefault("ended", now)
        if status is Status.SUCCEEDED:
            fields["cost"] = self._cost(run, now)
        self.update(run, status=status, reason=reason, **fields)
        attempt = fields.get("attempt", 0)
        self.append(run, Event("status", {"status": status, "reason": reason}, now, attempt))

    def amend(self, run: str, plan: Plan) -> None:
        """Give a run that is over a plan that goes further; `resume` then follows it."""
        _write(self.folder(run) / "plan.json", to_json(plan))
        self.update(run, signature=plan.signature)

    def update(self, run: str, **fields: Any) -> None:
        """Change columns of the run's row."""
        values = [json.dumps(v) if k in _JSON else v for k, v in fields.items()]
        marks = ",".join(f"{name}=?" for name in fields)
        with self._open(create=True) as db, db:
            db.execute(f"UPDATE runs SET {marks} WHERE id=?", [*values, run])

    def run(self, run: str) -> Run:
        """The run with exactly this id."""
        found = self._select("WHERE id=?", [run])
        if not found:
            raise JournalError(f"run {run} is not in the journal", "turnaround ls lists the runs")
        return found[0]

    def find(self, text: str) -> Run:
        """The run with the id `text`, or the only one that begins so; else the newest so named."""
        begins = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        order = "ORDER BY submitted DESC LIMIT 20"
        found = self._select(f"WHERE id LIKE ? ESCAPE '\\' {order}", [begins])
        exact = [run for run in found if run.id == text] or found
        if len(exact) == 1:
            return exact[0]
        if named := self._select(f"WHERE name=? {order}", [text]):
            return named[0]
        if found:
            ids = ", ".join(run.id for run in found)
            raise JournalError(f"run {text} is ambiguous: {ids}", "give more of its id")
        known = {word for run in self.runs(limit=200) for word in (run.id, run.name) if word}
        hint = (
            near(text, known, otherwise="turnaround ls lists the runs")
            if known
            else "there are no runs yet: turnaround run recipe=seq2seq"
        )
        raise JournalError(f"run {text} is not in the journal", hint)

    def runs(self, where: str = "", values: Sequence[Any] = (), limit: int = 1000) -> list[Run]:
        """The newest runs first; `where` is an SQL condition over the columns of `Run`."""
        clause = f"WHERE {where} " if where else ""
        return self._select(f"{clause}ORDER BY submitted DESC LIMIT {int(limit)}", values)

    def queue(self) -> list[Run]:
        """Runs of the pool that are not over, in the order in which they go."""
        condition = "WHERE cluster='pool' AND status IN ('QUEUED','PENDING','RUNNING')"
        return self._select(f"{condition} ORDER BY priority DESC, submitted", [])

    def active(self) -> list[Run]:
        """Runs of the pool that hold devices, or are about to."""
        return self._select("WHERE cluster='pool' AND status IN ('PENDING','RUNNING')", [])

    def count(self, *statuses: Status) -> int:
        """How many runs of the pool are in one of them."""
        marks = ",".join("?" * len(statuses))
        query = f"SELECT count(*) FROM runs WHERE cluster='pool' AND status IN ({marks})"
        found = self._read(query, statuses)
        return int(found[0][0]) if found else 0

    def first(self, most: int) -> list[str]:
        """Ids of runs of the pool that wait, as far as the journal knows who goes first."""
        query = "SELECT id FROM runs WHERE cluster='pool' AND status='QUEUED' "
        rows = self._read(query + "ORDER BY priority DESC, submitted LIMIT ?", [most])
        return [row[0] for row in rows]

    def some(self, runs: Iterable[str]) -> list[Run]:
        """Those of these runs that there are, in no order."""
        ids, found = sorted(runs), list[Run]()
        for begin in range(0, len(ids), 500):  # sqlite takes so many values and more
            part = ids[begin : begin + 500]
            found += self._select(f"WHERE id IN ({','.join('?' * len(part))})", part)
        return found

    def answer(self, signature: str) -> Run | None:
        """The run that has answered, or is about to answer, the question with this signature."""
        condition = "WHERE signature=? AND status IN ('SUCCEEDED','RUNNING','PENDING','QUEUED')"
        found = self._select(
            f"{condition} ORDER BY status='SUCCEEDED' DESC, submitted DESC", [signature]
        )
        return found[0] if found else None

    def history(self, recipe: str, limit: int = 128) -> list[Past]:
        """What the newest runs of a recipe that succeeded were asked, and what they cost."""
        query = "SELECT asked, cost, ended FROM runs WHERE recipe=? AND cost<>'{}' "
        rows = self._read(query + "ORDER BY ended DESC LIMIT ?", [recipe, limit])
        return [Past(json.loads(asked), json.loads(cost), ended) for asked, cost, ended in rows]

    def forget(self, run: str) -> None:
        """Remove the run's row and folder; `gc` finds by its name what a crash leaves of it."""
        gone = self.folder(run).with_name(f".gone-{run}")
        with suppress(FileNotFoundError):
            self.folder(run).rename(gone)
        with self._open(create=True) as db, db:
            db.execute("DELETE FROM runs WHERE id=?", [run])
        shutil.rmtree(gone, ignore_errors=True)

    # ── events ──

    def append(self, run: str, *events: Event) -> None:
        """Add lines to the run's event file."""
        with EventFile(self.folder(run)) as file:
            file.append(*events)

    def events(self, run: str, offset: int = 0) -> Iterator[Event]:
        """The run's events, in the order in which they were written."""
        for event, _ in read_events(self.folder(run) / "events.jsonl", offset):
            yield event

    def _forked(self, run: str) -> bool:
        """Its first steps were another's; a plan that cannot be read says nothing."""
        try:
            return bool(json.loads((self.folder(run) / "plan.json").read_text()).get("fork"))
        except (OSError, ValueError):
            return False

    def _cost(self, run: str, ended: float) -> dict[str, float]:
        """What the run cost that ends now; nothing when its events do not say."""
        started, file = self.run(run).started, self.folder(run) / "events.jsonl"
        if started is None or not file.exists() or self._forked(run):
            return {}  # a fork has done a part of its steps only
        offset = max(0, file.stat().st_size - _LATE)
        return cost((event for event, _ in read_events(file, offset)), started, ended)

    # ── sqlite ──

    def _select(self, clause: str, values: Sequence[Any]) -> list[Run]:
        columns = ",".join(_COLUMNS)
        return [_run(row) for row in self._read(f"SELECT {columns} FROM runs {clause}", values)]

    def _read(self, query: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        if not self.path.exists():
            return []
        with self._open() as db:
            return db.execute(query, values).fetchall()

    @contextmanager
    def _open(self, create: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; it stays open.

        To open one for each request costs a millisecond of processor time, and to close the last
        writes the log back, with a wait for the disk: 16 to 28 ms.
        """
        with self._guard:
            try:
                if self._db is None or self._file != _identity(self.path):  # or home is made anew
                    self.__del__()
                    self._db = self._connect(create)
                    self._file = _identity(self.path)
                self._check(self._db)
            except sqlite3.Error as error:
                raise JournalError(
                    f"the journal {self.path} cannot be opened: {error}",
                    "set TURNAROUND_HOME to a folder that can be written",
                ) from error
            yield self._db

    def __del__(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connect(self, create: bool) -> sqlite3.Connection:
        if create:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(self.path, timeout=20, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous=NORMAL")
        return db

    def _check(self, db: sqlite3.Connection) -> None:
        """It is of this format, from now on at the latest; 3 µs."""
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise JournalError(
                f"{self.path} is of a newer turnaround (format {version}, known: {SCHEMA})",
                "upgrade turnaround, or set TURNAROUND_HOME to another folder",
            )
        if version < SCHEMA:
            _make(db, version)


class EventFile:
    """The event file of one run, open for appending. Each event is one `write` of whole lines."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, *events: Event) -> None:
        """Add the events; OSError when the disk is full or gone."""
        self.write(*(to_json(event).encode() for event in events))

    def write(self, *lines: bytes) -> None:
        """Add events that are lines already: what a worker said needs no reading to be kept."""
        os.write(self._fd, b"".join(line + b"\n" for line in lines))

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def read_events(path: Path, offset: int = 0) -> Iterator[tuple[Event, int]]:
    """Events from byte `offset` on, each with the offset after it; a torn last line waits."""
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                yield Event(**json.loads(line)), offset
            except (ValueError, TypeError):
                continue  # half a line from a full disk, followed by a good one


def new_id(recipe: str) -> str:
    """A name for a run that can be typed: the recipe's, and five letters (29 million)."""
    return f"{recipe}-{''.join(secrets.choice(_ALPHABET) for _ in range(5))}"


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; none where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _make(db: sqlite3.Connection, version: int) -> None:
    """Tables and indexes of this format, in a journal that is new or of an earlier one."""
    db.execute("SELECT * FROM sqlite_master").fetchall()  # what it knows of tables may be old
    db.execute("PRAGMA journal_mode=WAL")
    for column in _ADDED.get(version, ()):
        with suppress(sqlite3.OperationalError):  # somebody else did it at the same moment
            db.execute(f"ALTER TABLE runs ADD COLUMN {column} TEXT NOT NULL DEFAULT '{{}}'")
    db.executescript(_TABLE)
    db.execute(f"PRAGMA user_version={SCHEMA}")


def _run(row: sqlite3.Row) -> Run:
    fields = dict(row)
    for name in _JSON:
        fields[name] = json.loads(fields[name])
    fields["status"] = Status(fields["status"])
    fields["stopping"] = bool(fields["stopping"])
    fields["recorded"] = bool(fields["recorded"])
    return Run(**fields)


def _flat(run: Run) -> list[Any]:
    values = (getattr(run, name) for name in _COLUMNS)
    return [json.dumps(v) if name in _JSON else v for name, v in zip(_COLUMNS, values, strict=True)]


def _write(path: Path, text: str) -> None:
    """Write whole or not at all."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
