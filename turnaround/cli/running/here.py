"""A run that this very process carries out: plain lines, so that a debugger has the terminal.

    code = carry_out(journal, run, lambda watch: inline.begin(run, journal, watch), as_json)

The worker takes the signals; we only note which came, to tell Ctrl-C from `turnaround stop`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from turnaround.cli import door
from turnaround.cli.running.attach import conclude
from turnaround.cli.views.lines import Lines
from turnaround.cli.views.outlook import forecast
from turnaround.cli.views.progress import Progress
from turnaround.journal import Journal
from turnaround.spec import Event, Status


def carry_out(
    journal: Journal, run: str, act: Callable[[Callable[[Event], None]], int], as_json: bool
) -> int:
    """Act, showing the run's events and then the closing words; 130 when Ctrl-C stopped it."""
    progress = Progress(journal.plan(run).budget, forecast(journal, journal.run(run)))
    view = Lines(run, progress, sys.stderr if as_json else sys.stdout)

    def watch(event: Event) -> None:
        with contextlib.suppress(OSError):  # nobody reads, or a disk is full; the run goes on
            view.take(event)

    with _signals_noted() as came:
        code = act(watch)
        interrupted = signal.SIGINT in came()
    ended = journal.run(run)
    conclude(journal, ended, progress, as_json)
    return door.INTERRUPTED if ended.status is Status.STOPPED and interrupted else code


@contextmanager
def _signals_noted() -> Iterator[Callable[[], bytes]]:
    """The numbers of the signals that come; whoever handles them is not disturbed."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def came() -> bytes:
        try:
            return os.read(reader, 4096)
        except BlockingIOError:
            return b""

    try:
        yield came
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)
