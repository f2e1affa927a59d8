"""A trial's run on its way: another's, ours from before a crash, forked from a trunk, or new.

    sender = Sender(question, steps, journal, pool, sweep)
    sender.first(trial, nth, until, state)     # Sending(run, known, begin), or the Stump it needs

Whatever happens between sending and writing down, no run is sent twice: it is found again by its
signature and its sweep.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from turnaround.journal import Journal, Run
from turnaround.pool.places import living
from turnaround.signature import canonical
from turnaround.spec import Cluster, Inventory, Plan, Status
from turnaround.sweep import outcome
from turnaround.sweep.question import Mark, Question, paused, planned
from turnaround.sweep.state import State, Trial
from turnaround.sweep.trunk import LATE, shared, trunk


class Hand(Protocol):
    """Who carries runs out: `launch.pool.Pool`, or what stands in for it."""

    def submit(self, plan: Plan, again: bool = False) -> tuple[Run, bool]:
        """Queue the plan. (run, whether it was there already)"""

    def resume(self, run: str) -> None:
        """Queue a run that was stopped; it goes on from its checkpoint."""

    def stop(self, run: str, reason: str = "") -> None:
        """Ask the run to save and end."""

    def inventory(self, cluster: Cluster) -> Inventory | None:
        """The devices that there are."""


@dataclass(frozen=True)
class Sending:
    """A run that answers for a trial."""

    run: Run
    known: bool = False  # another's, which had answered or was at it: not ours to stop or pay for
    begin: int = 0  # step of the checkpoint that it was forked from


@dataclass(frozen=True)
class Stump:
    """A trunk that has to be trained first."""

    key: str
    run: Run | None  # none: it was sent before
    step: int


class Sender:
    """Sends the runs of one sweep."""

    def __init__(
        self,
        question: Question,
        steps: list[int | None],
        journal: Journal,
        pool: Hand,
        sweep: str,
    ) -> None:
        self.question = question
        self.steps = steps
        self.journal = journal
        self.pool = pool
        self.sweep = sweep
        self._parting: dict[str, int | None] = {}  # of settings without the late ones

    def first(self, trial: Trial, nth: int, until: int | None, state: State) -> Sending | Stump:
        """The run that begins a trial, or the trunk that it waits for."""
        mark = Mark(self.sweep, trial.number, nth)
        whole = planned(self.question, trial.values, mark)
        if trial.parent is not None:
            return self._sent(paused(replace(whole, fork=self._source(trial, nth, state)), until))
        known = self.journal.answer(whole.signature)
        if known and known.status is Status.SUCCEEDED and self._copied(known):
            return self._by(known, self.journal.plan(known.id))
        step = self._parts(trial.values) if until is None else None
        if step is None:
            return self._sent(paused(whole, until))
        return self._grafted(whole, trunk(self.question, trial.values, mark, step), state)

    def onward(self, run: str, until: int | None) -> Run | None:
        """The run, going on to its next pause; unless it has ended for good, or goes on already.
        None when somebody has removed it."""
        if not (found := self.journal.runs("id=?", [run])):
            return None
        row, made = found[0], self.journal.plan(run)
        if row.status is not Status.SUCCEEDED and row.status.over:
            if made.until != until:
                made = paused(made, until)
                self.journal.amend(run, made)
            self.pool.resume(run)
        return self.journal.run(run)

    def _copied(self, known: Run) -> bool:
        """All is there that may be asked of a run that has answered: of a population not only its
        scores, but what copies begin with, which is seldom kept."""
        steps = self.steps[:-1] if self.question.settings.name == "pbt" else []
        return all(self._there(known.id, step) for step in steps if step)

    def _sent(self, made: Plan) -> Sending:
        return self._by(self._submitted(made), made)

    def _by(self, run: Run, made: Plan) -> Sending:
        return Sending(run, run.tags.get("sweep") != self.sweep, begin(made))

    def _submitted(self, made: Plan) -> Run:
        """Ours from before a crash, which goes on if it was stopped; another's that is at it; or a
        new one."""
        ours = "signature=? AND tags LIKE ? AND status<>'FAILED'"
        mine = self.journal.runs(ours, [made.signature, f'%"sweep": "{self.sweep}"%'], limit=1)
        if mine:
            if mine[0].status is Status.STOPPED and not outcome.paused(self.journal, mine[0]):
                self.pool.resume(mine[0].id)
            return self.journal.run(mine[0].id)
        there = self.journal.answer(made.signature)
        again = made.until is not None or (there is not None and not answers(there))
        return self.pool.submit(made, again=again)[0]

    # ── forks ──

    def _source(self, trial: Trial, nth: int, state: State) -> str | None:
        """The checkpoint of its parent; none when somebody has removed it."""
        sent = state.trials[trial.parent or 0].sent.get(nth)
        until = self.steps[trial.first - 1]
        return self._there(sent.run, until) if sent and until else None

    def _parts(self, values: dict[str, Any]) -> int | None:
        """Where trials like this one part; they are asked once for all."""
        key = canonical({key: value for key, value in values.items() if key not in LATE})
        if key not in self._parting:
            self._parting[key] = shared(self.question, values)
        return self._parting[key]

    def _grafted(self, whole: Plan, stem: Plan, state: State) -> Sending | Stump:
        """The run, beginning with the end of its trunk; or the trunk, which has to be there."""
        there, step = state.trunks.get(stem.signature), stem.until or 0
        if there is None:
            return Stump(stem.signature, self._submitted(stem), step)
        if there.ready is None:
            return Stump(stem.signature, None, step)
        source = self._there(there.run, there.step) if there.ready else None
        return self._sent(replace(whole, fork=source))  # its signature says nothing of that

    def _there(self, run: str, step: int) -> str | None:
        there = self.journal.folder(run) / "checkpoints" / f"step-{step:08d}"
        return f"{run}@{step}" if there.is_dir() else None


def answers(run: Run) -> bool:
    """It has answered, or will, and that is taken down here.

    Of a process that was killed, and of another cluster, nobody would tell.
    """
    if run.status.over:
        return run.status is Status.SUCCEEDED
    return run.cluster == "pool" or (run.cluster == "inline" and living(run.owner) is not None)


def begin(plan: Plan) -> int:
    """The step from which the run of that plan goes on, of which others did those before."""
    return int(plan.fork.rpartition("@")[2]) if plan.fork else 0
