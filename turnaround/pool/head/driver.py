"""The driver of a remote run: a Ray job that hands a Plan to its cluster's scheduler, and listens.

    python -m turnaround.pool.head.driver RUN submit|resume|watch  # in the folder that was uploaded

`launch/remote.py` sends it and reads what it prints, one JSON line each: the run's events, what the
run left behind, and at last its row of the journal there. SIGTERM means: save the run, and stop it.
It comes to the same whether it is sent once or again: the scheduler knows the run by its id.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from turnaround import journal
from turnaround.errors import JournalError, LaunchError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.pool.head.boot import NAMESPACE
from turnaround.pool.messages import wire
from turnaround.pool.node.agent import Envoy
from turnaround.pool.places import Places
from turnaround.pool.scheduler.cluster import lasting
from turnaround.pool.scheduler.scheduler import Scheduler
from turnaround.snapshot import parcel
from turnaround.spec import Plan, from_json, to_dict

MARK = "turnaround> "  # before what is ours: libraries print too
_PLAN, _CODE, _DATA = "plan.json", "code.tar", "data.tar"  # of the upload
_BEAT = 0.1  # seconds between looks at the run's events
_SILENCE = 20.0  # seconds after which it says that it is still there
_COME_UP = 60.0  # seconds
_PART = 3 << 12  # bytes of a file in a line
_MOST = 64 << 20  # bytes of the parameters that are sent back


def main() -> int:
    run, word = sys.argv[1:]
    wishes: list[int] = []

    def wish(number: int, frame: object) -> None:
        wishes.append(number)

    signal.signal(signal.SIGTERM, wish)
    try:
        places = _cluster()
        signal.signal(signal.SIGTERM, wish)  # Ray has put its own in place of it
        _ask(places, word, run)
        for line in _follow(places, run, wishes):
            _say(line)
    except TurnaroundError as error:
        told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        _say({"refused": told})
        return error.exit_code
    return 0


def _say(line: dict[str, Any]) -> None:
    print(f"{MARK}{json.dumps(line)}", flush=True)


def _cluster() -> Places:
    """The home of this cluster's scheduler, which is started if it is not there."""
    os.environ.pop("RAY_JOB_CONFIG_JSON_ENV_VAR", None)  # actors outlive this job and its folder
    address = os.environ.get("RAY_ADDRESS", "auto")
    ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    node = ray.get_runtime_context().get_node_id()
    here = NodeAffinitySchedulingStrategy(node, soft=False)
    home, mine = str(journal.home()), ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray's
    agent = lasting(Envoy, name="agent", scheduling_strategy=here).remote(mine, home)
    how = {"name": "scheduler", "scheduling_strategy": here}
    scheduler = lasting(Scheduler, **how).remote(home, agent)
    places = Places(Path(ray.get(scheduler.home.remote(), timeout=_COME_UP)))
    if not places.scheduler.exists():
        message = "this cluster's scheduler runs on another machine than its jobs"
        raise LaunchError(message, "turnaround down there, and submit again")
    return places


# ── asking ──


def _ask(places: Places, word: str, run: str) -> None:
    if word == "submit":
        plan = _unpacked(places.home)
        request = {"op": "submit", "plan": to_dict(plan), "again": True, "run": run}
        wire.ask(places.scheduler, {**request, "spans": None})
    elif word == "resume" and Journal(places.home).run(run).status.over:
        wire.ask(places.scheduler, {"op": "resume", "run": run})


def _unpacked(home: Path) -> Plan:
    """The plan that was uploaded, its code and data kept here."""
    plan = from_json(Plan, Path(_PLAN).read_text())
    code = home / "snapshots" / str(plan.place.snapshot)
    parcel.unpack(Path(_CODE).read_bytes(), code)
    data = plan.data
    if Path(_DATA).exists():
        folder = home / "data" / plan.place.data
        parcel.unpack(Path(_DATA).read_bytes(), folder)
        data = dataclasses.replace(data, **parcel.unpacked_data(data, folder))  # type: ignore[arg-type]  # these fields are str
    place = dataclasses.replace(plan.place, project=str(code / "tree"), interpreter=sys.executable)
    return dataclasses.replace(plan, data=data, place=place)


# ── listening ──


def _follow(places: Places, run: str, wishes: list[int]) -> Iterator[dict[str, Any]]:
    """Every event of the run from its first, and at the end what it left behind."""
    known, offset = Journal(places.home), 0
    events = known.folder(run) / "events.jsonl"
    stopping, spoke = False, time.monotonic()
    while True:
        row = known.run(run)  # before its events: what is over has said all
        for line in _lines(events, offset):
            yield {"event": json.loads(line)}
            offset += len(line)
            spoke = time.monotonic()
        if time.monotonic() - spoke > _SILENCE:
            yield {}
            spoke = time.monotonic()
        if row.status.over:
            break
        if wishes and not stopping:
            stopping = True
            reason = "stopped by its user"
            with contextlib.suppress(JournalError):  # it is over meanwhile
                wire.ask(places.scheduler, {"op": "stop", "run": run, "reason": reason})
        time.sleep(_BEAT)
    yield from _left(known, row)
    yield {"row": dataclasses.asdict(row)}


def _lines(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(offset)
        yield from itertools.takewhile(lambda line: line.endswith(b"\n"), opened)


def _left(known: Journal, row: Run) -> Iterator[dict[str, Any]]:
    """What was printed, and the best parameters where they are not too large."""
    folder = known.folder(row.id)
    yield from _parts("log.txt", (folder / "log.txt").read_bytes())
    found = sorted((folder / "checkpoints").glob("best-*")) or sorted(
        (folder / "checkpoints").glob("step-*")
    )
    size = sum(file.stat().st_size for best in found[-1:] for file in best.iterdir())
    if found and size <= _MOST:
        yield from _parts(f"checkpoints/{found[-1].name}", parcel.pack(found[-1]))


def _parts(name: str, content: bytes) -> Iterator[dict[str, Any]]:
    """A file in lines; the last one ends it."""
    for begin in range(0, len(content), _PART):
        text = base64.b64encode(content[begin : begin + _PART]).decode()
        yield {"file": name, "part": text}
    yield {"file": name, "part": ""}


if __name__ == "__main__":
    sys.exit(main())
