"""A pool that a bench has to itself: it ends with the bench, also by Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ENDS = (signal.SIGTERM, signal.SIGHUP)  # of which Python would leave without any `finally`
PATIENCE = 120.0  # seconds for runs to be saved and the pool to end


@contextlib.contextmanager
def pool(home: Path) -> Iterator[None]:
    """Whatever pool of that home is up at the end is ended; nothing interrupts that."""
    before = {n: signal.signal(n, lambda n, _: sys.exit(128 + n)) for n in ENDS}
    try:
        yield
    finally:
        before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-P", "-m", "turnaround", "down"],
                env={**os.environ, "TURNAROUND_HOME": str(home)},
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # else the terminal's Ctrl-C is for it as well
                timeout=PATIENCE,
                check=False,
            )
        for number, handler in before.items():
            signal.signal(number, handler)
