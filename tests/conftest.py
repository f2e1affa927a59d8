"""What every test shares: a home of its own, one thread, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from turnaround.signature import signature

PATIENCE = 15.0  # seconds in which what was told to end may end


def pytest_configure() -> None:
    """Before any test module imports torch: one thread each, on machines of two cores."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests for a GPU wait for a machine that has one."""
    if shutil.which("nvidia-smi") is None:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The $TURNAROUND_HOME of this test run; afterwards no process of it may be left."""
    root = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TURNAROUND_HOME", str(root / "home"))
        yield root / "home"
        if (root / "home" / "pool").exists():
            command = [sys.executable, "-m", "turnaround", "down"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    left = _left(root)
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _left(root)
    told = [f"{process.pid} {_command(process)[:200]}" for process in left]
    for process in left:
        process.kill()
    assert not told, "processes left by the tests:\n  " + "\n  ".join(told)


def _left(root: Path) -> list[psutil.Process]:
    """Processes that were started for a folder of this test run, by their environment or words."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    others = [process for process in psutil.process_iter() if process.pid not in ours]
    marks = [str(root), *_sockets(root)]
    return [p for p in others if _belongs(p, marks) and not _ends_with_us(p)]


def _ends_with_us(process: psutil.Process) -> bool:
    """A server of this very process's multiprocessing, which leaves when we do."""
    with contextlib.suppress(psutil.Error):
        return process.ppid() == os.getpid() and "from multiprocessing." in _command(process)
    return True


def _sockets(root: Path) -> Iterator[str]:
    """Names of the pools' runtime folders: Ray's own agents hide their environment, not these."""
    for depth in ("*", "*/*", "*/*/*"):
        for pool in root.glob(f"{depth}/pool"):
            yield f"turnaround-{os.getuid()}-{signature(str(pool.parent), 8)}"


def _belongs(process: psutil.Process, marks: list[str]) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = f"{process.environ().get('TURNAROUND_HOME', '')} {_command(process)}"
        return any(mark in words for mark in marks)
    except psutil.Error:
        return False  # gone meanwhile, or somebody else's


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
