"""Where the pool keeps its files and sockets, and the record of the pool that is up.

One pool per user, machine and `$TURNAROUND_HOME`. Sockets and Ray's session live in a short private
folder of their own: a unix socket's path may have 107 bytes, and a home on NFS cannot hold one.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from turnaround.errors import LaunchError
from turnaround.signature import signature

LOCAL = "127.0.0.1"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19  # field 22 of /proc/PID/stat, counted from the one after the name


@dataclass(frozen=True)
class Places:
    """Paths below one home."""

    home: Path

    @property
    def pool(self) -> Path:
        """Lock, record and Ray token."""
        return _private(self.home / "pool")

    @property
    def logs(self) -> Path:
        """What the daemons print."""
        return _private(self.home / "logs")

    @property
    def runtime(self) -> Path:
        """Sockets and Ray's session: where the pool that is up has them, which goes by its TMPDIR.

        Ours may be another one: jobs of Slurm, and sessions under pam_tmpdir, have their own.
        """
        record = read_record(self)
        if record and record.runtime and record.alive:
            return Path(record.runtime)
        name = f"turnaround-{os.getuid()}-{signature(str(self.home), 8)}"
        return _private(Path(tempfile.gettempdir()) / name)

    @property
    def node(self) -> Path:
        """The node daemon's socket."""
        return self.runtime / "node.sock"

    @property
    def scheduler(self) -> Path:
        """The scheduler's socket."""
        return self.runtime / "scheduler.sock"

    @property
    def record(self) -> Path:
        """The pool that is up."""
        return self.pool / "pool.json"

    @property
    def machines(self) -> Path:
        """What it is made of."""
        return self.pool / "machines.json"

    @property
    def token(self) -> Path:
        """The secret that whoever talks to its Ray must know."""
        return self.pool / "ray.token"


@dataclass(frozen=True)
class Record:
    """The pool that is up: who started it, with what."""

    pid: int
    created: float  # by the clock, which may be set meanwhile
    protocol: int
    version: str
    interpreter: str
    cpus: int
    gpus: int
    keep_warm: float  # seconds
    since: float
    address: str = LOCAL  # on which other machines reach it
    birth: str = ""  # of the process: its pid alone may belong to somebody else by now
    runtime: str = ""  # where its sockets are

    @property
    def alive(self) -> bool:
        """That very process still runs."""
        return alive(self.pid, self.birth)


def read_record(places: Places) -> Record | None:
    """The pool that is up, or was when it died."""
    try:
        return Record(**json.loads(places.record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_record(places: Places, record: Record) -> None:
    """Whole or not at all; with what its process and its sockets are found by."""
    found = {"birth": birth(record.pid), "runtime": str(places.runtime)}
    fresh = places.record.with_suffix(".new")
    fresh.write_text(json.dumps({**asdict(record), **found}))
    fresh.replace(places.record)


def owner() -> str:
    """This process, as the journal names who carries a run out."""
    return f"{os.getpid()}:{birth(os.getpid())}"


def living(named: str) -> int | None:
    """The id of a process that was named so, while it lives."""
    pid, _, born = named.partition(":")
    return int(pid) if pid and alive(int(pid), born) else None


def alive(pid: int, born: str) -> bool:
    """The process with this id is the one of that `birth`, and is no zombie."""
    try:
        return birth(pid) == born and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def birth(pid: int) -> str:
    """When the process began: since which boot, and how many ticks after it; empty: it is gone.

    A time of day would move when the clock is set, and a pool that lives would count as dead.
    """
    try:
        if not _BOOT.exists():  # macOS, where the kernel keeps the time of day
            return str(psutil.Process(pid).create_time())
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        ticks = told.rpartition(")")[2].split()[_STARTED]  # after its name, which may be anything
        return f"{_BOOT.read_text().strip()}/{ticks}"
    except (FileNotFoundError, ProcessLookupError, psutil.Error):
        return ""


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LaunchError(
            f"the pool needs the folder {folder}, which cannot be made: {error.strerror}",
            "set TURNAROUND_HOME (and TMPDIR) to folders that can be written",
        ) from error
    if folder.stat().st_uid != os.getuid():
        raise LaunchError(
            f"{folder} belongs to somebody else", "remove it, or set TMPDIR to another folder"
        )
    return folder
