"""The one process that writes to MLflow: from the event files of runs, about once a second.

    python -m turnaround.tracking.recorder --home $TURNAROUND_HOME --uri sqlite:////…/mlflow.db

Training never waits for it and never hears of it. While MLflow is away (a server down, a disk read-only) it
tries again, at last every ten seconds; events wait on disk. It ends itself when nothing is left to record.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from turnaround.journal import Journal, Run
from turnaround.spec import Status
from turnaround.tracking.start import ENVIRON, Files, Lag, files

if TYPE_CHECKING:
    from turnaround.tracking.follower import Follower
    from turnaround.tracking.store import Store

logger = logging.getLogger(__name__)

LINGER = 30.0  # seconds it stays when nothing is left, for the next run to find it warm
PATIENCE = 3600.0  # seconds without success after which it leaves the rest to the next recorder
ROUND, SLOWEST = 1.0, 10.0  # seconds between two rounds: when all is well, after many failures
NICE = 10  # training goes first
ENDS = (signal.SIGTERM, signal.SIGINT)
WAITING = "tracking=? AND recorded=0 AND status NOT IN ('PLANNED','QUEUED','PENDING')"


def main() -> int:
    """Record until nothing is left; 0 at once when another recorder does."""
    words = argparse.ArgumentParser(prog="turnaround.tracking.recorder")
    words.add_argument("--home", type=Path, required=True)
    words.add_argument("--uri", required=True)
    words.add_argument("--linger", type=float, default=LINGER)
    asked = words.parse_args()
    os.environ.update(ENVIRON)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    mine = files(asked.home, asked.uri)
    with Lock(mine.lock) as lock:
        if lock.held:
            os.nice(NICE)
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # asked for between two rounds, in `_pause`
            Recorder(asked.home, asked.uri, mine).work(lock, asked.linger)
    return 0
