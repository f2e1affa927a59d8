"""What a run says: events, and the points of its training curve.

    report = Report(send, attempt=1, rank=0, device=device)
    report.event("checkpoint", step=100, folder="step-00000100", best=False)
    report.step(Point(step=1, …), taken.loss, taken.norm)     # once a step; says something when it is due
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from turnaround.errors import NumericsError
from turnaround.spec import Event, to_json

EARLY = 100  # steps that are all points: where a curve moves most, and what short comparisons look at
EVERY = 10  # then each tenth step,
SECONDS = 1.0  # or one a second where a step takes longer than a tenth of one,
FASTEST = 0.02  # and never more than 50 a second
GLANCE = 0.5  # seconds between two `progress` events


class Report:
    """One rank's voice: numbered, stamped lines. A rank that is not to speak gets a deaf `send`."""

    def __init__(self, send: Callable[[str], None], attempt: int, rank: int) -> None:
        self._send = send
        self._attempt = attempt
        self._rank = rank
        self._seq = 0

    def event(self, kind: str, **data: Any) -> None:
        """Say that something happened."""
        self._seq += 1
        self._send(to_json(Event(kind, data, time.time(), self._attempt, self._rank, self._seq)))

    def notice(self, message: str) -> None:
        """Something the user should know; nothing failed."""
        self.event("notice", message=message)

    def warning(self, message: str) -> None:
        """Something failed, and the run goes on."""
        self.event("warning", message=message)
