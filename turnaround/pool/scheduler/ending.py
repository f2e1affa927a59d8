"""What becomes of a run when an attempt of it has ended: its end, or another attempt.

ending = Ending(journal, line, plans)
ending.settle(run, Outcome(0))                       # SUCCEEDED, with what it summed up
ending.settle(run, Outcome(3, True, "rank 1 died"))  # QUEUED, while its plan allows it
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.pool.node.outcome import LOST, Outcome
from turnaround.pool.queue.line import Line
from turnaround.spec import Event, Plan, Status

_ENDS = {0: Status.SUCCEEDED, **dict.fromkeys((75, 130, 143), Status.STOPPED)}


class Plans(dict[str, Plan]):
    """The plans of runs that are under way, each read once."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def __missing__(self, run: str) -> Plan:
        self[run] = plan = self._journal.plan(run)
        return plan


class Ending:
    """Writes it into the journal, and lets who goes on wait again."""

    def __init__(self, journal: Journal, line: Line, plans: Plans) -> None:
        self._journal = journal
        self._line = line
        self._plans = plans

    def settle(self, run: Run, outcome: Outcome) -> None:
        """The run's end, or the reason why it waits again."""
        if outcome.lost and not run.stopping:
            self._lost(run, outcome)
            return
        code = 75 if outcome.lost else outcome.exit_code
        status = _ENDS.get(code, Status.FAILED)
        reason = outcome.message or (run.reason if status is Status.STOPPED else "")
        last = self._last(run)
        if status is Status.STOPPED and "yields" in last and not run.stopping:
            self._yielded(run, **last["yields"])
            return
        if status is Status.FAILED and self._crowded(run, last.get("message", "")):
            self._alone(run, f"{last['message']}; it shared a device, and starts again alone")
            return
        self._journal.mark(
            run.id,
            status,
            reason or last.get("message", ""),
            attempt=run.attempt,
            exit_code=code,
            stopping=False,
            summary=last.get("summary", {}),
        )

    def _yielded(self, run: Run, to: str, alone: bool = False) -> None:
        """It goes on from its checkpoint, when there is room."""
        if alone:
            others = to if to != run.id else "the others there"
            self._alone(run, f"shared a device with {others} too slowly, and goes on alone")
        else:
            self._again(run, f"made room for {to}, and goes on from its checkpoint")

    def _alone(self, run: Run, reason: str) -> None:
        """Back into the queue, for a whole device."""
        plan = self._plans[run.id]
        whole = replace(plan, cluster=replace(plan.cluster, share=None))
        self._journal.amend(run.id, whole)
        self._plans.pop(run.id, None)
        self._again(run, reason)

    def _crowded(self, run: Run, message: str) -> bool:
        """It lacked memory on a part of a device."""
        return self._plans[run.id].cluster.share is not None and "out of memory" in message

    def _lost(self, run: Run, outcome: Outcome) -> None:
        """A worker or a machine went away: another attempt, while the plan allows it."""
        most, why = self._plans[run.id].cluster.retries, outcome.message
        if "after step" not in why and (step := self._step(run)):
            why = f"{why} after step {step}"
        if run.failures >= most:
            reason = f"{why}; given up after {run.failures} restarts"
            ended = {"attempt": run.attempt, "exit_code": outcome.exit_code}
            self._journal.mark(run.id, Status.FAILED, reason, **ended)
        else:
            failures = run.failures + 1
            message = f"{why}; restart {failures}/{most} from the last checkpoint"
            self._journal.append(
                run.id, Event("notice", {"message": message}, time.time(), run.attempt)
            )
            self._again(run, message, failures=failures)

    def _again(self, run: Run, reason: str, **fields: Any) -> None:
        """Back into the queue."""
        self._journal.mark(run.id, Status.QUEUED, reason, attempt=run.attempt, **fields)
        self._line.add(self._journal.run(run.id))

    def _step(self, run: Run) -> int:
        """The last that the attempt has told of."""
        told = self._journal.events(run.id, kinds=("metrics", "progress"))
        return max((e.data["step"] for e in told if e.attempt == run.attempt), default=0)

    def _last(self, run: Run) -> dict[str, Any]:
        """The attempt's summary, and the first error that was nobody else's."""
        found: dict[str, Any] = {}
        errors = []
        for event in self._journal.events(run.id, kinds=("summary", "error", "yields")):
            if event.attempt == run.attempt and event.kind == "summary":
                found["summary"] = event.data
            elif event.attempt == run.attempt and event.kind == "error":
                errors.append(event)
            elif event.attempt == run.attempt and event.kind == "yields":
                found["yields"] = event.data
        own = [error for error in errors if error.data.get("exit_code") != LOST]
        if own:  # of the same kind the one that knows more: all ranks see a sum that is not finite
            same = [e for e in own if e.data.get("exit_code") == own[0].data.get("exit_code")]
            known = (e for e in same if "all parameters are finite" not in e.data["message"])
            first = next(known, same[0])
            many = self._plans[run.id].devices > 1
            found["message"] = (f"rank {first.rank}: " if many else "") + first.data["message"]
        return found


def unplaced(failed: TurnaroundError | None, gone: str | None = None) -> Outcome:
    """The end of an attempt of which no machine knows anything; `gone` says why, if it is known."""
    if failed is None:
        return Outcome(LOST, True, gone or "the machine's daemon was restarted")
    if failed.exit_code == LaunchError.exit_code:
        return Outcome(LOST, True, failed.message)
    return Outcome(failed.exit_code, message=str(failed))
