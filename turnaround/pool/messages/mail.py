"""What has to travel between the machine that has the runs' folders and one that has not.

    mail = Mail(journal, call)                      # call(machine, method, *words): its agent
    text = mail.send(machine, name, run, plan)      # code, data, checkpoints; the plan of there
    mail.receive(machine, run, news)                # events, output and checkpoints of a run

Bytes go through Ray's object store: an argument of a call is fetched by the machine that needs it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from turnaround.journal import EventFile, Journal
from turnaround.pool.messages.offset import dated
from turnaround.pool.messages.post import LOG
from turnaround.snapshot import parcel
from turnaround.spec import Plan, to_json

Call = Callable[..., Any]
_CHECKPOINT = '"kind": "checkpoint"'


class Mail:
    """The office, where the journal is."""

    def __init__(self, journal: Journal, call: Call) -> None:
        self._journal = journal
        self._call = call

    # ── there ──

    def send(self, machine: str, name: str, run: str, plan: Plan) -> str:
        """All that the run needs is on that machine now; its plan, with the paths it has there."""
        about = self._call(machine, "about", plan.place.interpreter)
        home = Path(about["home"])
        code = f"snapshots/{plan.place.snapshot}"
        folders = [code, *self._checkpoints(run, plan)]
        data = plan.data
        if plan.place.data and not self._call(
            machine, "has_data", data, plan.place.project, plan.place.data
        ):
            folder = f"data/{plan.place.data}"
            if self._call(machine, "lacks", [folder]):
                self._call(machine, "keep", folder, ray.put(parcel.packed_data(data, name)))
            data = replace(data, **parcel.unpacked_data(data, home / folder))  # type: ignore[arg-type]  # these fields are str
        for folder in self._call(machine, "lacks", folders):
            packed = ray.put(parcel.pack(self._journal.root / folder))
            self._call(machine, "keep", folder, packed)
        project, interpreter = str(home / code / "tree"), about["interpreter"]
        place = replace(plan.place, project=project, interpreter=interpreter)
        return to_json(replace(plan, data=data, place=place))

    def _checkpoints(self, run: str, plan: Plan) -> list[str]:
        """What the run, or the one that it starts from, goes on from."""
        names = []
        for source in filter(None, (run, plan.init_from)):
            folder = self._journal.folder(source) / "checkpoints"
            for kind in ("step", "best"):
                newest = max(folder.glob(f"{kind}-????????"), default=None)
                names += [str(newest.relative_to(self._journal.root))] if newest else []
        return names

    # ── back ──

    def receive(self, machine: str, run: str, news: dict[str, Any], ahead: float = 0.0) -> None:
        """Into the run's folder: first what an event speaks of, then the event, by our clock."""
        folder = self._journal.folder(run)
        lines = news["events"].encode().splitlines()
        for line in lines:
            if _CHECKPOINT in line.decode():
                self._fetch(machine, run, json.loads(line)["data"]["folder"])
        with EventFile(folder) as file:
            if lines:
                file.write(*(dated(line, ahead) if ahead else line for line in lines))
        if news["log"]:
            with (folder / LOG).open("a") as log:
                log.write(news["log"])

    def _fetch(self, machine: str, run: str, name: str) -> None:
        """A checkpoint that rank 0 has written there; older ones of its kind may go."""
        packed = self._call(machine, "give", f"runs/{run}/checkpoints/{name}")
        if packed is None:  # a newer one took its place meanwhile
            return
        folder = self._journal.folder(run) / "checkpoints"
        shutil.rmtree(folder / name, ignore_errors=True)  # of a future that was discarded
        parcel.unpack(packed, folder / name)
        kind = name.partition("-")[0]
        keep = self._journal.plan(run).checkpoint.keep if kind == "step" else 1
        older = sorted(path for path in folder.glob(f"{kind}-????????") if path.name <= name)
        for path in older[:-keep]:
            shutil.rmtree(path, ignore_errors=True)
