"""Show a run until it is over, or until somebody has seen enough.

    follower = Follower(journal, run, view, steer, tail)
    left = follower.attend(asks=True, stops=True)    # none: it is over, see follower.exit_code

The first Ctrl-C asks (or stops the run, where nobody can be asked), the second stops it, the third
does not wait for that.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from turnaround.cli import door
from turnaround.cli.views.outlook import waits
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.tail import Tail
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.spec import Event, Status

BEAT = 0.05  # seconds between looks at the event file
LOOK = 0.25  # seconds between looks at the journal
QUEUE = 5.0  # seconds between looks at the queue before the run: 10 ms each
LAST_WORDS = 1.0  # seconds that the last event may come after the journal's row
QUESTION = "\nCtrl-C: [d]etach and let it go on, [s]ave and stop it, or Enter to keep watching? "


class View(Protocol):
    """What shows a run: `lines.Lines` or `live.Screen`."""

    progress: Progress

    def catch_up(self, events: Iterable[Event]) -> None:
        """Know what happened before."""

    def take(self, event: Event) -> None:
        """Know one more event."""

    def say(self, text: str) -> None:
        """A line of our own."""

    def beat(self) -> None:
        """Move what moves by itself."""

    def close(self) -> None:
        """Leave the terminal as it was; a later beat opens it again."""


class Steer(Protocol):
    """What can be done to the run that is watched."""

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        """See to it that somebody carries the run out; False when nobody will for now."""

    def stop(self, run: Run) -> None:
        """Ask it to save and end."""


class Follower:
    """One person, or none, watching one run."""

    def __init__(self, journal: Journal, run: Run, view: View, steer: Steer, tail: Tail) -> None:
        self.journal = journal
        self.run = run
        self.view = view
        self.steer = steer
        self.tail = tail
        self._stopping = False
        self._queued = -QUEUE

    def attend(self, asks: bool, stops: bool, interrupted: bool = False) -> int | None:
        """The exit code when the run was left to itself, none when it is over.

        On Ctrl-C a person is asked when `asks`; otherwise the run is stopped when `stops`.
        """
        try:
            while True:
                if interrupted and (code := self._interrupted(asks, stops)) is not None:
                    return code
                try:
                    return self._until_over()
                except KeyboardInterrupt:
                    interrupted = True
        finally:
            self.view.close()

    @property
    def exit_code(self) -> int:
        """Of the run that is over: 130 when it was stopped from here."""
        run = self.run
        if run.status is Status.STOPPED:
            return door.INTERRUPTED if self._stopping else 75
        return (
            run.exit_code if run.exit_code is not None else int(run.status is not Status.SUCCEEDED)
        )

    # ── watching ──

    def _until_over(self) -> int | None:
        looked = 0.0
        while not self.run.status.over:
            self._news()
            if time.monotonic() - looked >= LOOK or self._ended():
                looked = time.monotonic()
                if not self._look():
                    return 75
            self.view.beat()
            time.sleep(BEAT)
        self._last_words()
        return None

    def _news(self) -> None:
        for event in self.tail.news():
            self.view.take(event)

    def _ended(self) -> bool:
        """The last event says so; the journal's row is on its way."""
        return Status(self.view.progress.status).over

    def _look(self) -> bool:
        """Read the journal's row; False when nobody will carry the run out for now."""
        self.run = self.journal.run(self.run.id)
        known = self.view.progress
        if self.run.status is Status.QUEUED and time.monotonic() - self._queued >= QUEUE:
            self._queued = time.monotonic()
            known.wait = waits(self.journal, time.time()).get(self.run.id)
        if self.run.status is Status.QUEUED and self.run.reason != known.reason:
            told = {"status": self.run.status, "reason": self.run.reason}
            self.view.take(Event("status", told, time.time(), self.run.attempt))
        return self.run.status.over or self.steer.tend(self.run, self.view.say)

    def _last_words(self) -> None:
        """The journal's row is written just before the last event."""
        until = time.monotonic() + LAST_WORDS
        self._news()
        while self.view.progress.status != self.run.status and time.monotonic() < until:
            time.sleep(BEAT)
            self._news()

    # ── Ctrl-C ──

    def _interrupted(self, asks: bool, stops: bool) -> int | None:
        """What Ctrl-C means; none to go on watching."""
        self.view.close()
        if self._stopping:
            self.view.say(f"leaving; {self.run.id} saves and stops by itself")
            return door.INTERRUPTED
        choice = _ask() if asks else "stop" if stops else "leave"
        if choice == "stop":
            self._stop()
        elif choice == "leave":
            run = self.run.id
            self.view.say(f"{run} goes on: turnaround watch {run}, turnaround stop {run}")
            return 0 if asks else door.INTERRUPTED
        return None

    def _stop(self) -> None:
        self._stopping = True
        self.view.say(f"saving and stopping {self.run.id}; Ctrl-C again does not wait for it")
        with contextlib.suppress(JournalError):  # it ended meanwhile
            self.steer.stop(self.run)


def _ask() -> str:
    """`stop`, `leave` or `stay`; a second Ctrl-C means stop, a closed terminal means leave."""
    try:
        print(QUESTION, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return "stop"
    if not answer:
        return "leave"
    return {"d": "leave", "s": "stop"}.get(answer.strip().lower()[:1], "stay")
