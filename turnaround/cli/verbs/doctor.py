"""`turnaround doctor`: look at this machine, and say what to do."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from turnaround import __version__, config
from turnaround.cli.verbs.up import told
from turnaround.cli.views import units
from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal, home
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.pool.places import Places, read_record
from turnaround.tracking.start import lag

NEEDED = ("torch", "ray", "mlflow", "hydra-core")  # asked of their metadata, not imported
ROOM = 2_000_000_000  # bytes; Ray's session and a few checkpoints
SOCKET = 107  # bytes of a unix socket's path
PAGES = 5000  # the port that MLflow takes by default


@dataclass(frozen=True)
class Around:
    """Where the doctor looks."""

    home: Path
    project: Path


@dataclass(frozen=True)
class Finding:
    """What was found, and what to do where it is not well."""

    found: str
    level: str = "ok"  # ok · warn · bad
    advice: str = ""


def doctor() -> int:
    """Check Python, libraries, devices, disk, the journal, the pool, and MLflow's store.

    \b
    turnaround doctor
    """
    around = Around(home(), config.project_root(Path.cwd()))
    findings = {name: _look(check, around) for name, check in CHECKS.items()}
    for name, finding in findings.items():
        typer.echo(f"{finding.level:<4}  {name:<9}  {finding.found}")
        if finding.advice:
            typer.echo(f"                 → {finding.advice}")
    return LaunchError.exit_code if "bad" in {f.level for f in findings.values()} else 0


def _look(check: Callable[[Around], Finding], around: Around) -> Finding:
    try:
        return check(around)
    except TurnaroundError as error:
        return Finding(error.message, "bad", error.hint)


def _python(around: Around) -> Finding:
    version = platform.python_version()
    return Finding(f"{version} at {sys.executable}, turnaround {__version__}")


def _libraries(around: Around) -> Finding:
    versions = {name: _version(name) for name in NEEDED}
    missing = [name for name, version in versions.items() if not version]
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    if missing:
        return Finding(found, "bad", f"{sys.executable} -m pip install {' '.join(missing)}")
    return Finding(found)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _devices(around: Around) -> Finding:
    devices = facts.inventory()
    found = f"{devices.cpus} CPU, {devices.gpus} GPU"
    if devices.gpus == 0 and shutil.which("nvidia-smi"):
        return Finding(found, "warn", "nvidia-smi is here: does CUDA_VISIBLE_DEVICES hide GPUs?")
    return Finding(found)


def _home(around: Around) -> Finding:
    try:
        around.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=around.home):
            return Finding(str(around.home))
    except OSError as error:
        advice = "set TURNAROUND_HOME to a folder that can be written"
        return Finding(f"{around.home} cannot be written: {error.strerror}", "bad", advice)


def _disk(around: Around) -> Finding:
    there = next(path for path in (around.home, *around.home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{units.size(free)} free at {there}"
    if free < ROOM:
        return Finding(found, "warn", "turnaround gc frees what no run needs")
    return Finding(found)


def _journal(around: Around) -> Finding:
    runs = Journal(around.home).runs(limit=100_000)
    going = sum(not run.status.over for run in runs)
    return Finding(f"{units.counted(len(runs), 'run')}, {going} not over")


def _sockets(around: Around) -> Finding:
    path = Places(around.home).scheduler
    if len(os.fsencode(path)) > SOCKET:
        advice = "set TMPDIR to a folder with a shorter path"
        return Finding(f"{path} is longer than {SOCKET} bytes", "bad", advice)
    return Finding(str(path.parent))


def _pool(around: Around) -> Finding:
    pool = Pool(around.home)
    status = pool.status()
    if not status["running"]:
        if read_record(pool.places):
            return Finding("was killed", "warn", "turnaround up starts it again; its runs go on")
        return Finding("not up; the first run starts it")
    if "idle_seconds" not in status:
        advice = f"turnaround down, then up; {pool.places.logs / 'pool.log'} says more"
        return Finding(f"up, but does not answer: {told(status)}", "bad", advice)
    if status["version"] != __version__:
        found = f"of turnaround {status['version']}: {told(status)}"
        return Finding(found, "warn", "turnaround down; the next run starts one of this version")
    return Finding(told(status))


def _mlflow(around: Around) -> Finding:
    file, folder = around.project / "mlflow.db", around.project / "mlruns"
    if late := lag(around.home, f"sqlite:///{file}"):
        since = units.age(time.time() - late.since) if late.since else "now"
        found = f"{late.behind:,} events wait for {file} (since {since}): {late.error}"
        return Finding(found, "warn", "nothing is lost: they arrive when it can be written")
    if folder.is_dir() and not file.exists():
        advice = "plain `mlflow ui` shows ./mlruns, not mlflow.db: use turnaround ui"
        return Finding(f"{folder} is of an older MLflow", "warn", advice)
    if not os.access(file if file.exists() else around.project, os.W_OK):
        advice = "make it writable, or set tracking.uri=…"
        return Finding(f"{file} cannot be written", "warn", advice)
    return Finding(str(file) if file.exists() else f"{file}, made by the first run")


def _ports(around: Around) -> Finding:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:
            return Finding(f"127.0.0.1: {error.strerror}", "bad", "the pool needs loopback")
        taken = probe.connect_ex(("127.0.0.1", PAGES)) == 0
    return Finding(f"loopback works, {PAGES} is {'taken' if taken else 'free'} (turnaround ui)")


CHECKS = {
    "python": _python,
    "libraries": _libraries,
    "devices": _devices,
    "home": _home,
    "disk": _disk,
    "journal": _journal,
    "sockets": _sockets,
    "pool": _pool,
    "mlflow": _mlflow,
    "ports": _ports,
}
