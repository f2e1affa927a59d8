"""Takes down, for the journal, what a driver on another cluster says of a run."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from turnaround import errors
from turnaround.errors import LaunchError
from turnaround.journal import EventFile, Journal, events, folders, read_events
from turnaround.snapshot import parcel
from turnaround.spec import Event, Status, to_json


class Scribe:
    """Takes down what a driver says of one run: for the journal, each line once."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal = journal
        self._run = run
        self._folder = journal.folder(run)
        self._place = self._folder / "remote.json"  # the line that was begun, and where: see _begun
        self._files: dict[str, list[bytes]] = {}

    def listen(self, lines: Iterator[dict[str, Any]]) -> bool:
        """Whether there was anything to hear."""
        (begun, size), number = self._begun(), 0
        for line in lines:
            if "event" in line:
                number += 1
                event = Event(**line["event"])
                if number > begun or (number == begun and not self._there(event, size)):
                    self._begin(number)
                    self._event(event)
            elif "file" in line:
                self._file(line["file"], base64.b64decode(line["part"]))
            elif "row" in line:
                self._end(line["row"])
                return True
            elif "refused" in line:
                self._refused(line["refused"])
                return True
        return number > 0

    def _begin(self, number: int) -> None:
        """Noted before the line is taken down: who is killed in between leaves one in doubt."""
        folders.write(self._place, f"{number} {(self._folder / events.NAME).stat().st_size}")

    def _begun(self) -> tuple[int, int]:
        """The last line that was begun, and the size of the event file before it."""
        try:
            number, size = self._place.read_text().split()
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(number), int(size)

    def _there(self, event: Event, size: int) -> bool:
        """The line in doubt is in the event file."""
        file = self._folder / events.NAME
        return any(to_json(told) == to_json(event) for told, _ in read_events(file, size))

    def _event(self, event: Event) -> None:
        if event.kind != "status":
            with EventFile(self._folder) as file:
                file.append(event)
            return
        status = Status(event.data["status"])
        row = self._journal.run(self._run)
        if not status.over and status is not row.status:  # its end comes with its row
            began = {"started": row.started or event.time} if status is Status.RUNNING else {}
            fields = {"when": event.time, "attempt": event.attempt, **began}
            self._journal.mark(self._run, status, event.data["reason"], **fields)

    def _file(self, name: str, part: bytes) -> None:
        if part:
            self._files.setdefault(name, []).append(part)
            return
        content = b"".join(self._files.pop(name, []))
        kind, _, rest = name.partition("/")
        if name == "log.txt":
            (self._folder / name).write_bytes(content)
        elif kind == "checkpoints" and Path(rest).name == rest:
            parcel.unpack(content, self._folder / kind / rest)

    def _end(self, row: dict[str, Any]) -> None:
        names = ("attempt", "failures", "exit_code", "summary", "started", "ended")
        fields = {name: row[name] for name in names if row[name] is not None}
        self._journal.mark(self._run, Status(row["status"]), row["reason"], **fields)

    def _refused(self, told: dict[str, str]) -> None:
        code = getattr(errors, told["kind"], LaunchError).exit_code
        reason = f"{told['message']}\n  → {told['hint']}" if told["hint"] else told["message"]
        self._journal.mark(self._run, Status.FAILED, reason, exit_code=code)
