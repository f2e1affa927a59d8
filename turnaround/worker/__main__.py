"""A rank as a process of its own: `python -m turnaround.worker JOB.json FD`."""

from __future__ import annotations

import faulthandler
import json
import os
import pkgutil
import sys
from pathlib import Path

from turnaround.spec import Assignment, Plan, from_dict


def main(job: str, events: int) -> int:
    """One rank as a process of its own: `job` is a file, `events` an open descriptor."""
    faulthandler.enable()  # a crash in native code leaves a trace in the log
    given = json.loads(Path(job).read_text())
    plan, assignment = from_dict(Plan, given["plan"]), from_dict(Assignment, given["assignment"])
    enter = pkgutil.resolve_name(plan.entry)
    return int(enter(plan, assignment, lambda line: _write(events, line)))


def _write(descriptor: int, line: str) -> None:
    os.write(descriptor, f"{line}\n".encode())


if __name__ == "__main__":
    code = main(sys.argv[1], int(sys.argv[2]))
    sys.stdout.flush()
    os._exit(code)  # nothing is left to take apart, and gloo's threads need not be waited for
