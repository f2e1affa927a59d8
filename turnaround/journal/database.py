"""The journal's sqlite file: its tables, and one connection that stays open.

database = Database(root / "journal.db")
rows = database.read("SELECT * FROM runs WHERE id=?", ["lm-k3x9e"])
with database.write() as db:              # one transaction
    db.execute(…)
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from turnaround.errors import JournalError

SCHEMA = 2  # of the file; one with a higher number was written by a newer turnaround
PATIENCE = 20.0  # seconds that another's transaction may take
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
_AGAIN = 0.01  # seconds between tries to make it
_HINTS = {
    "opened": "set TURNAROUND_HOME to a folder that can be written",
    "read": "see that its disk is there, and try again",
    "written": "free some space, and try again",
}
_FULL = 1 << 20  # bytes
_HELD = "end what holds it (`fuser journal.db`), and try again"
_DAMAGED = "move journal.db* away to begin a new one (the runs keep their folders), or bring a copy"


class Database:
    """The file at `path`, for one thread at a time.

    To open a connection for each request costs a millisecond of processor time, and to close the
    last writes the log back, with a wait for the disk: 16 to 28 ms.
    """

    def __init__(self, path: Path) -> None:
        self._db: sqlite3.Connection | None = None
        self.path = path
        self._file: tuple[int, int] | None = None  # that it is open on
        self._guard = threading.RLock()

    def read(self, query: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        """The rows; none where there is no file."""
        if not self.path.exists():
            return []
        with self._open() as db, self._worded("read"):
            return db.execute(query, values).fetchall()

    @property
    def version(self) -> int:
        """Another number when somebody else has written: 10 µs, where a look at rows takes 500."""
        if not self.path.exists():
            return 0
        with self._open() as db, self._worded("read"):
            return int(db.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction; JournalError when the disk is full, or another's takes too long."""
        with self._open(create=True) as db, self._worded("written"), db:
            db.execute("BEGIN IMMEDIATE")  # whoever has to wait has done nothing yet
            yield db

    @contextmanager
    def _open(self, create: bool = False) -> Iterator[sqlite3.Connection]:
        with self._guard:
            with self._worded("opened"):
                if self._db is None or self._file != _identity(self.path):  # or home is made anew
                    self.__del__()
                    self._db = self._connect(create)
                    self._file = _identity(self.path)
                self._check(self._db)
            yield self._db

    @contextmanager
    def _worded(self, done: str) -> Iterator[None]:
        """What sqlite says, with what to do about it."""
        try:
            yield
        except sqlite3.Error as error:
            message = f"the journal {self.path} cannot be {done}: {error}"
            raise JournalError(message, self._hint(error, done)) from error

    def _hint(self, error: sqlite3.Error, done: str) -> str:
        if type(error) is sqlite3.DatabaseError:  # none of the finer kinds: it makes no sense
            return _DAMAGED
        if "locked" in str(error):
            return _HELD
        with suppress(OSError):
            if shutil.disk_usage(self.path.parent).free < _FULL:  # to read takes a log to write
                return _HINTS["written"]
        return _HINTS[done]

    def __del__(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connect(self, create: bool) -> sqlite3.Connection:
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False)
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is; none where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _make(db: sqlite3.Connection, version: int) -> None:
    """Tables and indexes of this format, in a journal that is new or of an earlier one.

    Two that do so at once lock each other out, and for that sqlite does not wait: 1 of 150 failed.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return _lay_out(db, version)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN)


def _lay_out(db: sqlite3.Connection, version: int) -> None:
    db.execute("SELECT * FROM sqlite_master").fetchall()  # what it knows of tables may be old
    db.execute("PRAGMA journal_mode=WAL")
    for column in _ADDED.get(version, ()):
        with suppress(sqlite3.OperationalError):  # somebody else did it at the same moment
            db.execute(f"ALTER TABLE runs ADD COLUMN {column} TEXT NOT NULL DEFAULT '{{}}'")
    db.executescript(_TABLE)
    db.execute(f"PRAGMA user_version={SCHEMA}")
