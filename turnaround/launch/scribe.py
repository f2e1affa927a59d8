"""Takes down, for the journal, what a driver on another cluster says of a run."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from turnaround import errors
from turnaround.errors import LaunchError
from turnaround.journal import EventFile, Journal, folders
from turnaround.snapshot import parcel
from turnaround.spec import Event, Status


class Scribe:
    """Takes down what a driver says of one run: for the journal, each line once."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal = journal
        self._run = run
        self._folder = journal.folder(run)
        self._count = self._folder / "remote.json"  # lines that were taken down
        self._files: dict[str, list[bytes]] = {}

    def listen(self, lines: Iterator[dict[str, Any]]) -> bool:
        """Whether there was anything to hear."""
        known, number = self._known(), 0
        for line in lines:
            if "event" in line:
                number += 1
                if number > known:
                    self._event(Event(**line["event"]))
                    folders.write(self._count, str(number))  # a count cut short would be none
            elif "file" in line:
                self._file(line["file"], base64.b64decode(line["part"]))
            elif "row" in line:
                self._end(line["row"])
                return True
            elif "refused" in line:
                self._refused(line["refused"])
                return True
        return number > 0

    def _known(self) -> int:
        try:
            return int(self._count.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _event(self, event: Event) -> None:
        if event.kind != "status":
            with EventFile(self._folder) as file:
                file.append(event)
            return
        status = Status(event.data["status"])
        row = self._journal.run(self._run)
        if not status.over and status is not row.status:  # its end comes with its row
            began = {"started": row.started or event.time} if status is Status.RUNNING else {}
            reason = event.data["reason"]
            self._journal.mark(self._run, status, reason, attempt=event.attempt, **began)

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
