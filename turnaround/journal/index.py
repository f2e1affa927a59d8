"""Questions to the rows of the journal: which runs there are, wait, have answered."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from turnaround.cost import Past
from turnaround.errors import JournalError, near
from turnaround.journal.database import Database
from turnaround.journal.row import COLUMNS, Run, read
from turnaround.spec import Status


class Index:
    """The rows below one `$TURNAROUND_HOME`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "journal.db"
        self._database = Database(self.path)

    @property
    def version(self) -> int:
        """Another number when another process has changed a row since."""
        return self._database.version

    def run(self, run: str) -> Run:
        """The run with exactly this id."""
        found = self._select("WHERE id=?", [run])
        if not found:
            raise JournalError(f"run {run} is not in the journal", "turnaround ls lists the runs")
        return found[0]

    def find(self, text: str) -> Run:
        """The run with the id `text`, or the only one that begins so; else the newest so named."""
        begins = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        order = "ORDER BY submitted DESC LIMIT 20"
        found = self._select(f"WHERE id LIKE ? ESCAPE '\\' {order}", [begins])
        exact = [run for run in found if run.id == text] or found
        if len(exact) == 1:
            return exact[0]
        if named := self._select(f"WHERE name=? {order}", [text]):
            return named[0]
        if found:
            ids = ", ".join(run.id for run in found)
            raise JournalError(f"run {text} is ambiguous: {ids}", "give more of its id")
        known = {word for run in self.runs(limit=200) for word in (run.id, run.name) if word}
        hint = (
            near(text, known, otherwise="turnaround ls lists the runs")
            if known
            else "there are no runs yet: turnaround run recipe=seq2seq"
        )
        raise JournalError(f"run {text} is not in the journal", hint)

    def runs(self, where: str = "", values: Sequence[Any] = (), limit: int = 1000) -> list[Run]:
        """The newest runs first; `where` is an SQL condition over the columns of `Run`."""
        clause = f"WHERE {where} " if where else ""
        return self._select(f"{clause}ORDER BY submitted DESC LIMIT {int(limit)}", values)

    def queue(self) -> list[Run]:
        """Runs of the pool that are not over, in the order in which they go."""
        condition = "WHERE cluster='pool' AND status IN ('QUEUED','PENDING','RUNNING')"
        return self._select(f"{condition} ORDER BY priority DESC, submitted", [])

    def active(self) -> list[Run]:
        """Runs of the pool that hold devices, or are about to."""
        return self._select("WHERE cluster='pool' AND status IN ('PENDING','RUNNING')", [])

    def count(self, *statuses: Status) -> int:
        """How many runs of the pool are in one of them."""
        marks = ",".join("?" * len(statuses))
        query = f"SELECT count(*) FROM runs WHERE cluster='pool' AND status IN ({marks})"
        found = self._database.read(query, statuses)
        return int(found[0][0]) if found else 0

    def first(self, most: int) -> list[str]:
        """Ids of runs of the pool that wait, as far as the journal knows who goes first."""
        query = "SELECT id FROM runs WHERE cluster='pool' AND status='QUEUED' "
        rows = self._database.read(query + "ORDER BY priority DESC, submitted LIMIT ?", [most])
        return [row[0] for row in rows]

    def some(self, runs: Iterable[str]) -> list[Run]:
        """Those of these runs that there are, in no order."""
        ids, found = sorted(runs), list[Run]()
        for begin in range(0, len(ids), 500):  # sqlite takes so many values and more
            part = ids[begin : begin + 500]
            found += self._select(f"WHERE id IN ({','.join('?' * len(part))})", part)
        return found

    def answer(self, signature: str) -> Run | None:
        """The run that has answered, or is about to answer, the question with this signature."""
        condition = "WHERE signature=? AND status IN ('SUCCEEDED','RUNNING','PENDING','QUEUED')"
        found = self._select(
            f"{condition} ORDER BY status='SUCCEEDED' DESC, submitted DESC", [signature]
        )
        return found[0] if found else None

    def history(self, recipe: str, limit: int = 128) -> list[Past]:
        """What the newest runs of a recipe that succeeded were asked, and what they cost."""
        query = "SELECT asked, cost, ended FROM runs WHERE recipe=? AND cost<>'{}' "
        rows = self._database.read(query + "ORDER BY ended DESC LIMIT ?", [recipe, limit])
        return [Past(json.loads(asked), json.loads(cost), ended) for asked, cost, ended in rows]

    def _select(self, clause: str, values: Sequence[Any]) -> list[Run]:
        query = f"SELECT {','.join(COLUMNS)} FROM runs {clause}"
        return [read(row) for row in self._database.read(query, values)]
