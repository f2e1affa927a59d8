"""What happens in a run, as its event file holds it, and the states of its life."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Status(enum.StrEnum):
    """The life of a run: ours until it is queued, then Ray's words."""

    PLANNED = "PLANNED"
    QUEUED = "QUEUED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def over(self) -> bool:
        """Nothing more will happen by itself."""
        return self in (Status.SUCCEEDED, Status.FAILED, Status.STOPPED)


@dataclass(frozen=True)
class Event:
    """One thing that happened in a run; one line of its event file.

    kind        data
    status      status, reason
    spans       began, rows {row: seconds}, words  (of the command line, before there was a run)
    worker      pid, host, device, threads, gain   (a rank came up; gain: of being trained as one)
    metrics     step, epoch, split, values {name: number}, examples, seconds (of training)
    progress    step, steps (planned or none), examples, rate (examples/s), loss
    checkpoint  step, folder, best
    samples     step, columns, rows
    summary     steps, examples, seconds, values {name: number}, stopped (why)
    ledger      step, began, rows {row: seconds}, cpu (seconds)   (of this attempt so far)
    probe       seconds, more, agree, exchange     (of a rank: see forecast/modes.py)
    gauge       batch, seconds, wait, memory       (of a rank's steps: see engine/sizes.py)
    recorded    files (seconds that they took)     (everything has reached MLflow)
    fit         parameters, portion, bytes, scores (of a plan that was looked at, not carried out)
    ended       exit_code                          (of a run that another one carries)
    notice      message                            (something the user should know; nothing failed)
    trial       number, values {key: value}, name, rung, parent, place
                                                   (of a sweep: settings to be tried)
    sent        number, seed, run, rung, until, known, begin    (a run that tries them)
    trunk       key, run, step                     (that trials of a sweep have in common)
    trunked     key, ready, seconds                (it is over; whether they can fork from it)
    result      number, rung, status, score, reason, steps, seconds, own, runs {seed: run}
    rung        number, rung                       (the trial is worth going on with)
    again       number, runs                       (that gave no answer: others are to be sent)
    more        trials                             (added to those the sweep was asked for)
    yields      to, alone                          (a run that goes first, or is slow beside this
                                                   one, which saves, stops and goes on alone)
    warning     message
    error       message, hint, traceback, exit_code, type (of our own errors: DataError)
    """

    kind: str
    data: dict[str, Any]
    time: float  # seconds since the epoch
    attempt: int = 0
    rank: int = 0
    seq: int = 0  # of this attempt and rank, from 1: a gap is a loss
