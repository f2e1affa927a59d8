"""The files that belong to a run in MLflow.

    config.json          the resolved plan          samples.json    a table that the UI shows
    manifest.json        the snapshot's files       plots/*.png     loss and scores over steps
    environment.txt      name==version lines        log.txt         what the run printed
    diff.patch           what git had not

What exists before the first step is written by `before`, the rest by `after`; both may be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from turnaround.ledger import Account
from turnaround.spec import Event, Plan, to_dict
from turnaround.tracking import plots
from turnaround.tracking.params import key
from turnaround.tracking.shelf import Shelf

SNAPSHOT = ("manifest.json", "environment.txt", "diff.patch")
TABLE = "samples.json"
PICTURES = 12  # of 200 scores they took 18 s, in which the run's answer was not recorded


def before(shelf: Shelf, plan: Plan, home: Path) -> None:
    """Write what the run starts from."""
    config = json.dumps(to_dict(plan), indent=2, ensure_ascii=False)
    shelf.text("config.json", re.sub(r"//[^/@\s]+@", "//", config))  # less passwords in addresses
    if plan.place.snapshot:
        for name in SNAPSHOT:
            shelf.file(home / "snapshots" / plan.place.snapshot / name)


def after(
    shelf: Shelf, folder: Path, events: Sequence[Event], account: Account, pictures: bool = True
) -> dict[str, str]:
    """Write what came out of the run, and name the tags by which the UI knows what it is.

    `pictures` take 0.1 to 0.2 s each, so there are a few.
    """
    shelf.file(folder / "log.txt")
    shelf.tree(folder / "report", "report")  # of a sweep
    for name, splits in few(plots.curves(events)) if pictures else ():
        shelf.figure(f"plots/{key(name)}.png", plots.plot(key(name), splits))
    if pictures:
        shelf.figure("plots/time.png", plots.bars(account))
    table = samples(events)
    if not table:
        return {}
    shelf.text(TABLE, json.dumps(table, ensure_ascii=False))
    return {"mlflow.loggedArtifacts": json.dumps([{"path": TABLE, "type": "table"}])}


def few(curves: dict[str, plots.Splits]) -> list[tuple[str, plots.Splits]]:
    """The loss and the first scores; MLflow's own charts have every one."""
    return sorted(curves.items(), key=lambda curve: curve[0] != "loss")[:PICTURES]


def samples(events: Sequence[Event]) -> dict[str, list[Any]]:
    """All samples of the latest kind in one table (MLflow's `split` form), or nothing."""
    found = [event.data for event in events if event.kind == "samples"]
    if not found:
        return {}
    columns = found[-1]["columns"]
    alike = [data for data in found if data["columns"] == columns]
    rows = [[data["step"], *map(_cell, row)] for data in alike for row in data["rows"]]
    return {"columns": ["step", *columns], "data": rows}


def _cell(value: Any) -> Any:
    plain = isinstance(value, str | int | None) or (isinstance(value, float) and isfinite(value))
    return value if plain else json.dumps(value)  # the UI's JSON knows no NaN
