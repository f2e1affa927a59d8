"""A real browser, and a plain `mlflow ui` for it to look at."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from turnaround.tracking.ui import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-dev-shm-usage --disable-background-networking --disable-component-update "
    "--window-size=1600,1800"  # charts are drawn when they are seen
)
TRAINING = "workflowType=machine_learning"
MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no chromium and chromedriver here: .ci/run installs them"
    ),
]


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """The address of a plain `mlflow ui`, started in the project's folder with nothing said."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "ui", "--port", str(port)],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 200
    try:
        while not _answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}/health", timeout=2).status == 200)
    except (urllib.error.URLError, OSError):
        return False


def shown(browser: webdriver.Chrome, *words: str) -> str:
    """The text of the page, once all words are on it."""
    deadline = time.monotonic() + 150
    while True:
        text = browser.find_element(By.TAG_NAME, "body").text
        missing = [word for word in words if word not in text]
        if not missing:
            return text
        assert time.monotonic() < deadline, f"{missing} not on the page:\n{text}"
        time.sleep(0.3)
