"""The recorder seen from outside: started when it is needed, found, asked how far it is, ended.

    ensure(home(), plan.tracking.uri, plan.place.interpreter)   # a run was submitted, or goes on
    lag(home(), uri)                                            # what is not in MLflow yet, and why

There is one recorder per `$TURNAROUND_HOME` and tracking URI: it holds a lock on a file for as long
as it lives. Nothing here imports mlflow (1.4 to 3 s).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.signature import signature

# What MLflow is told by every process that we start for it.
ENVIRON = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 2 processes and 6 s instead of 10 and 55 s
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",  # no handle on a file that was since replaced
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # 7 by default: 246 s until a closed port is reported
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

_BEGUN = "tracking=? AND recorded=0 AND status NOT IN ('PLANNED','QUEUED','PENDING')"
_SWEEP = """tags LIKE '%"kind": "sweep"%'"""
HOLD = 20.0  # seconds between looks at sweeps under way; MLflow's import took 2 of the first 12


@dataclass(frozen=True)
class Files:
    """Where the recorder of one tracking URI keeps its lock, its state and its log."""

    lock: Path
    state: Path
    log: Path


@dataclass(frozen=True)
class Lag:
    """What has not reached MLflow yet."""

    uri: str
    behind: int  # events that wait on disk
    since: float | None = None  # when writing failed first; None: it works
    error: str = ""


@dataclass(frozen=True)
class Where:
    """MLflow's own ids of a run."""

    experiment: str
    run: str


def files(home: Path, uri: str) -> Files:
    """The files of the recorder of `uri`."""
    name = f"recorder-{signature(uri)}"
    pool = home / "pool"
    return Files(pool / f"{name}.lock", pool / f"{name}.json", home / "logs" / f"{name}.log")


def database(uri: str) -> Path | None:
    """The sqlite file behind a tracking URI, if that is what it is."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def ensure(home: Path, uri: str, interpreter: str) -> None:
    """Start the recorder of `uri`, detached, unless it is there already."""
    mine = files(home, uri)
    if holder(mine.lock):
        return
    mine.log.parent.mkdir(parents=True, exist_ok=True)
    command = [interpreter, "-m", "turnaround.tracking.recorder", "--home", str(home), "--uri", uri]
    with mine.log.open("ab") as log:
        subprocess.run(
            ["/bin/sh", "-c", '"$0" "$@" &', *command],  # nobody's child: nobody has to wait for it
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # closing the terminal must not end it
            cwd="/",
            env={**os.environ, **ENVIRON, "TURNAROUND_HOME": str(home)},
        )


def tell(home: Path, word: Lag) -> None:
    """Leave word of how far the recorder is; OSError when the disk is full."""
    state = files(home, word.uri).state
    state.parent.mkdir(exist_ok=True)  # but not a home that was removed
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(word)))
    fresh.replace(state)


def left(journal: Journal, uri: str) -> list[Run]:
    """The runs of which MLflow does not know all yet: sweeps, which are older than all that is
    written below them, and the newest of the others."""
    sweeps = journal.runs(f"{_BEGUN} AND {_SWEEP}", [uri])
    return sweeps + journal.runs(f"{_BEGUN} AND NOT {_SWEEP}", [uri])


def ended(journal: Journal, uri: str) -> bool:
    """One of them is over."""
    over = "tracking=? AND recorded=0 AND status IN ('SUCCEEDED','FAILED','STOPPED')"
    return bool(journal.runs(over, [uri], limit=1))


def batch(journal: Journal, uri: str) -> bool:
    """All that is left belongs to sweeps under way: it can wait, and trials need the cores."""
    awaited = f"""(tags NOT LIKE '%"sweep"%' OR {_SWEEP} AND ended NOTNULL)"""
    with contextlib.suppress(JournalError, sqlite3.Error):  # locked, or on a disk that is full
        some = journal.runs(_BEGUN, [uri], limit=1)
        return bool(some) and not journal.runs(f"{_BEGUN} AND {awaited}", [uri], limit=1)
    return False


def lag(home: Path, uri: str) -> Lag | None:
    """What the recorder of `uri` could not write when it last tried; None when it could."""
    try:
        fields = json.loads(files(home, uri).state.read_text())
        return Lag(**fields) if fields["error"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def where(folder: Path) -> Where | None:
    """Where the run of that folder is in MLflow; None when it has not arrived yet."""
    try:
        fields = json.loads((folder / "tracking.json").read_text())
        return Where(fields["experiment_id"], fields["run_id"]) if fields["run_id"] else None
    except (OSError, ValueError, KeyError):
        return None


def stop(home: Path, patience: float = 5.0) -> list[int]:
    """End all recorders of `home` and name their process ids; what they had left stays on disk."""
    locks = sorted((home / "pool").glob("recorder-*.lock"))
    held = {lock: pid for lock in locks if (pid := holder(lock))}
    for pid in held.values():
        _kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for pid in held.values():
        while _lives(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        if _lives(pid):
            _kill(pid, signal.SIGKILL)
    return list(held.values())


def holder(lock: Path) -> int | None:
    """The process that holds `lock`, or None."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return int(lock.read_text() or 0) or None
    return None


class Lock:
    """A file that one process holds for as long as it lives; its process id stands in it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> bool:
        """Hold it from now on; False when another process does."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)
        return True

    def release(self) -> None:
        """Let another process have it."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def stands(self) -> bool:
        """Whether the file is still there for others to see."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False


def _lives(pid: int) -> bool:
    """It runs; a zombie does not: its parent may be the one who asks."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _kill(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
        os.kill(pid, how)
