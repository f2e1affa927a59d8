"""A short job in a child of the forkserver, whose events are the reply: no run, and no queue.

    told = carry_out({"plan": "…/plan.json", "assignment": {…}, "patience": 60.0}, nursery)
    told["lines"], told["code"]          # its events, a line of JSON each, and its exit code

It holds no device, so it may only look: `turnaround.worker:preflight` is what it is for.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turnaround.pool.node.gang import HIDDEN
from turnaround.pool.node.nursery import Nursery
from turnaround.spec import Plan, from_json


def carry_out(request: dict[str, Any], nursery: Callable[[str], Nursery]) -> dict[str, Any]:
    """Do what the plan's `entry` says, as the assignment says; its folder must be there.

    After `patience` seconds it is killed.
    """
    plan = from_json(Plan, Path(request["plan"]).read_text())
    asked = {"plan": request["plan"], "assignment": request["assignment"]}
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    reading, writing = os.pipe()
    with open(reading) as said:
        log = os.open(Path(request["assignment"]["folder"]) / "log.txt", os.O_WRONLY | os.O_CREAT)
        try:
            forked = {**asked, "environ": _environ(plan)}
            pid = nursery(plan.place.interpreter).fork(forked, [log, writing], codes.put)
        finally:
            os.close(log)
            os.close(writing)
        patience = threading.Timer(request["patience"], _end, [pid])
        patience.start()
        lines = said.read().splitlines()
        code = codes.get()
        patience.cancel()
    return {"lines": lines, "code": code}


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _environ(plan: Plan) -> dict[str, str]:
    """As a worker's, without any GPU."""
    kept = {key: text for key, text in os.environ.items() if not key.startswith(HIDDEN)}
    return {**kept, **plan.place.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
