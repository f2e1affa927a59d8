"""What every test shares: a home of its own, one thread, and nothing left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.workshop import make_store
from turnaround.signature import signature

SLOW = 1800  # seconds that a slow test may take; the longest takes 270 on a quiet machine
PATIENCE = 30.0  # seconds in which what was told to end may end
MEMORY = Path("/dev/shm")  # a new journal takes 15 ms there and 80 on a disk; a test run 100 MB


def pytest_configure() -> None:
    """Before any test module imports torch: one thread each, on machines of two cores.

    Who was started with Ctrl-C ignored, as shells do in the background, hands that down to what
    the tests start, and then nothing could be interrupted.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))  # where tmp_path lies


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests for a GPU wait for a machine that has one; slow ones have the time of a slow one."""
    for item in items:
        said = item.get_closest_marker("timeout")
        if item.get_closest_marker("slow") and (said is None or said.args[0] < SLOW):
            item.add_marker(pytest.mark.timeout(SLOW), append=False)
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
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=100)
    left = _left(root)
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _left(root)
    told = [f"{process.pid} {_command(process)[:200]}" for process in left]
    for process in left:
        process.kill()
    assert not told, "processes left by the tests:\n  " + "\n  ".join(told)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow store, made once: to import MLflow and lay out its tables takes 3 s."""
    file = tmp_path_factory.mktemp("blank") / "mlflow.db"
    make_store(file)
    return file


@pytest.fixture
def well_read(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that knows what earlier tests have composed: Hydra takes 0.1 s for each question."""
    shared = tmp_path_factory.getbasetemp() / "composed.json"
    mine = tmp_path / "home" / "cache" / "config.json"
    mine.parent.mkdir(parents=True)
    if shared.exists():
        shutil.copy(shared, mine)
    yield tmp_path / "home"
    if mine.exists():
        shutil.copy(mine, shared)


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
