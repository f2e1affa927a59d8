"""All of the journal: rows that change together with the folders that they stand for."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from turnaround.cost import cost
from turnaround.errors import JournalError
from turnaround.journal import events, folders
from turnaround.journal.index import Index
from turnaround.journal.row import COLUMNS, Run, flat, new_id
from turnaround.spec import Event, Plan, Status, from_json, to_json

_DRAWS = 20  # names that are tried for a run
_LATE = 1 << 17  # bytes of an event file in which a run's last words are: 600 events or so


class Journal(Index):
    """The journal below one `$TURNAROUND_HOME`."""

    def folder(self, run: str) -> Path:
        """The run's own folder."""
        return self.root / "runs" / run

    def plan(self, run: str) -> Plan:
        """The Plan as it was submitted."""
        try:
            return from_json(Plan, (self.folder(run) / "plan.json").read_text())
        except FileNotFoundError:
            raise JournalError(
                f"run {run} has no plan in {self.folder(run)}", f"turnaround rm {run} forgets it"
            ) from None
        except ValueError as error:  # torn by a crash of the machine
            raise JournalError(
                f"the plan of run {run} cannot be read: {error}", f"turnaround rm {run} forgets it"
            ) from None

    def new_id(self, recipe: str) -> str:
        """A name for a run that no other has: among 5,000 of one recipe two are drawn alike in one
        case of three."""
        for _ in range(_DRAWS):
            run = new_id(recipe)
            if not self.folder(run).exists() and not self.some([run]):
                return run
        raise JournalError(f"no free id for a run of {recipe}", "turnaround gc")

    # ── what changes ──

    def submit(
        self, plan: Plan, run: str, owner: str = "", spans: dict[str, Any] | None = None
    ) -> Run:
        """A new run, QUEUED; `owner` carries it out itself, `spans` is what came before it."""
        row = Run.of(plan, run, time.time(), owner)
        told = [Event("spans", spans, row.submitted)] if spans else []
        told.append(Event("status", {"status": row.status, "reason": ""}, row.submitted))
        self.folder(run).mkdir(parents=True)
        try:  # the row last: what it stands for is whole
            folders.write(self.folder(run) / "plan.json", to_json(plan))
            if plan.fork:
                folders.fork(self.root / "runs", plan.fork, self.folder(run))
            self.append(run, *told)
            marks = ",".join("?" * len(COLUMNS))
            with self._database.write() as db:
                insert = f"INSERT INTO runs ({','.join(COLUMNS)}) VALUES ({marks})"
                db.execute(insert, flat(vars(row)))
        except BaseException:
            shutil.rmtree(self.folder(run), ignore_errors=True)
            raise
        return row

    def mark(self, run: str, status: Status, reason: str = "", **fields: Any) -> None:
        """Move the run to `status`: a row and an event, of now, of `when`, or when it `ended`."""
        now = fields.pop("when", None) or fields.get("ended") or time.time()
        attempt = fields.get("attempt", 0)
        said: list[Event] = []
        if status is Status.RUNNING:
            fields.setdefault("started", now)
        if status.over:
            fields.setdefault("ended", now)
            said = self._late(run, () if status is Status.SUCCEEDED else ("status",))
        if status is Status.SUCCEEDED:
            fields["cost"] = self._cost(run, said, now)
        told = Event("status", {"status": status, "reason": reason}, now, attempt)
        known = _last(said) == (told.data, attempt)  # of somebody who was killed before the row
        self._change(run, {"status": status, "reason": reason, **fields}, [] if known else [told])

    def amend(self, run: str, plan: Plan) -> None:
        """Give a run that is over a plan that goes further; `resume` then follows it."""
        folders.write(self.folder(run) / "plan.json", to_json(plan))
        self.update(run, signature=plan.signature)

    def update(self, run: str, **fields: Any) -> None:
        """Change columns of the run's row."""
        self._change(run, fields, [])

    def _change(self, run: str, fields: dict[str, Any], told: Sequence[Event]) -> None:
        """Both or neither; the events alone, when this process is killed in between."""
        marks = ",".join(f"{name}=?" for name in fields)
        with self._database.write() as db:
            db.execute(f"UPDATE runs SET {marks} WHERE id=?", [*flat(fields), run])
            with suppress(FileNotFoundError):  # somebody has removed the folder
                self.append(run, *told)

    def record(self, run: Run, *told: Event) -> None:
        """Note that MLflow has all of the run, unless it goes on since this was read."""
        same = "id=? AND status=? AND attempt=? AND ended IS ?"
        values = [run.id, run.status, run.attempt, run.ended]
        with self._database.write() as db:
            if db.execute(f"UPDATE runs SET recorded=1 WHERE {same}", values).rowcount:
                with suppress(FileNotFoundError):
                    self.append(run.id, *told)

    def forget(self, run: str) -> None:
        """Remove the run's row and folder; `gc` finds by its name what a crash leaves of it."""
        gone = self.folder(run).with_name(f".gone-{run}")
        with suppress(FileNotFoundError):
            self.folder(run).rename(gone)
        with self._database.write() as db:
            db.execute("DELETE FROM runs WHERE id=?", [run])
        shutil.rmtree(gone, ignore_errors=True)

    # ── events ──

    def append(self, run: str, *told: Event) -> None:
        """Add lines to the run's event file."""
        if not told:
            return
        with events.EventFile(self.folder(run)) as file:
            file.append(*told)

    def events(self, run: str, offset: int = 0, kinds: Collection[str] = ()) -> Iterator[Event]:
        """The run's events, or those of some kinds, in the order in which they were written."""
        for event, _ in events.read_events(self.folder(run) / events.NAME, offset, kinds):
            yield event

    def _late(self, run: str, kinds: Collection[str] = ()) -> list[Event]:
        """The run's last words, or those of some kinds."""
        file = self.folder(run) / events.NAME
        if not file.exists():
            return []
        return [*self.events(run, max(0, file.stat().st_size - _LATE), kinds)]

    def _cost(self, run: str, said: Sequence[Event], ended: float) -> dict[str, float]:
        """What the run cost that ends now; nothing when its events do not say."""
        started = self.run(run).started
        if started is None or not said or self._forked(run):
            return {}  # a fork has done a part of its steps only
        return cost(said, started, ended)

    def _forked(self, run: str) -> bool:
        """Its first steps were another's; a plan that cannot be read says nothing."""
        try:
            return bool(json.loads((self.folder(run) / "plan.json").read_text()).get("fork"))
        except (OSError, ValueError):
            return False


def _last(said: Sequence[Event]) -> tuple[dict[str, Any], int] | None:
    """The newest status of which these events tell, and its attempt."""
    found = [event for event in said if event.kind == "status"]
    return (found[-1].data, found[-1].attempt) if found else None
