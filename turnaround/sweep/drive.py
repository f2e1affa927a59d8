"""What a sweep's driver decides: what is over, what goes next, when it ends.

    driver = Driver(home, "sweep-x7k2m", pool)
    driver.pick_up()                      # what an earlier driver left half way
    while (why := driver.tick()) is None: ...

It remembers nothing: what it decides is appended to the sweep's event file before it counts, so
that one that was killed is replaced by another, which finds the runs that were sent and sends none
twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from turnaround.errors import TurnaroundError
from turnaround.fusible import MOST
from turnaround.journal import EventFile, Journal, Run
from turnaround.launch import facts
from turnaround.launch.pool import Pool
from turnaround.spec import Event, Status
from turnaround.sweep import outcome
from turnaround.sweep.choose import Begin, Chooser, Rise
from turnaround.sweep.question import Mark, Question, first, label, planned, read
from turnaround.sweep.rungs import PAUSING, ladder
from turnaround.sweep.send import Hand, Sender, Sending, Stump, answers
from turnaround.sweep.state import State, Trial
from turnaround.sweep.window import Speed, Watch, measured

Clock = Callable[[], float]
GLANCE = 0.03  # seconds between looks for news; one costs 20 µs
AHEAD = 8  # short trials that are over before the next look: two devices, 8 ms each
ALIKE = 3  # trials that fail with the same words before the sweep gives up
ENDED = "every trial has ended"
WAITING = 256  # trials that may wait for their trunks
PATIENCE = 60.0  # seconds that runs have to save and stop


class Driver:
    """Carries a sweep on from what its events say."""

    def __init__(
        self, home: Path, sweep: str, pool: Hand | None = None, clock: Clock = time.time
    ) -> None:
        self.journal = Journal(home)
        self.pool: Hand = pool or Pool(home)
        self.sweep = sweep
        self.clock = clock
        self.question: Question = read(self.journal.folder(sweep))
        self.steps = ladder(self.question)
        self.state = State(self.question.rises)
        self._file = EventFile(self.journal.folder(sweep))
        for event in self.journal.events(sweep):
            self.state.add(event)
        self._slots = slots(self.question, self.pool)
        past = measured(self.question, self.journal, clock()) if self.question.window else None
        waves = math.ceil(self.question.settings.seeds / self._slots)
        speed = Speed(self.question, self.steps, past, waves)
        self.watch = Watch(self.question.window, speed, clock)
        self.chooser = Chooser(self.question, self.steps, self.watch)
        self.sender = Sender(self.question, self.steps, self.journal, self.pool, sweep)
        self._rows: dict[str, Run] = {}
        self._attempt = self.journal.run(sweep).attempt
        self._said = 0  # events of ours
        self._known = (-1, -1)  # by the last look for news

    @property
    def top(self) -> int:
        """The rung that is the whole budget."""
        return len(self.steps) - 1

    def tick(self) -> str | None:
        """Settle what is over, send what may go; why the sweep is over, or none."""
        self._settle()
        if why := self.watch.over(self.spent()):
            return why
        if why := self._alike():
            return why
        self._send()
        return None if self.state.open() else ENDED

    def news(self) -> bool:
        """Something has happened since the last time, in the journal or here; a tick costs 1 ms.

        A window passes by itself.
        """
        now = (self.journal.version, self._said)
        before, self._known = self._known, now
        return now != before or bool(self.question.window)

    def pick_up(self) -> None:
        """What an earlier driver's end, or somebody's hand, has stopped half way goes on."""
        for run in self._ours():
            if run.status is Status.STOPPED and not outcome.paused(self.journal, run):
                self.pool.resume(run.id)

    # ── what is over ──

    def _settle(self) -> None:
        wanted = self._awaited()
        self._rows |= {run.id: run for run in rows(self.journal, wanted)}
        for run in wanted - self._rows.keys():
            self._rows[run] = outcome.gone(run)
        for key, trunk in self.state.trunks.items():
            if trunk.ready is None and self._rows[trunk.run].status.over:
                self._trunked(key, self._rows[trunk.run])
        for trial in self.state.open():
            there = [sent for sent in trial.sent.values() if sent.rung == trial.rung]
            whole = len(there) == self.question.settings.seeds
            if lost := [s.run for s in there if s.known and not answers(self._rows[s.run])]:
                self._say("again", number=trial.number, runs=lost)  # by a run of our own
            elif whole and all(self._rows[sent.run].status.over for sent in there):
                self._result(trial)

    def _awaited(self) -> set[str]:
        """Runs of which something is awaited."""
        trunks = {trunk.run for trunk in self.state.trunks.values() if trunk.ready is None}
        return trunks | {sent.run for trial in self.state.open() for sent in trial.sent.values()}

    def _trunked(self, key: str, run: Run) -> None:
        """Trials fork from it now, or go alone."""
        known = [*self.journal.events(run.id)] if run.attempt else []
        ready = run.attempt > 0 and outcome.paused(self.journal, run)
        if ready:
            self.journal.update(run.id, reason=f"the trunk of trials of {self.sweep}")
        self._say(
            "trunked", key=key, ready=ready, seconds=outcome.held(known, outcome.devices(run))
        )

    def _result(self, trial: Trial) -> None:
        """What its runs come to, for all to read."""
        score, until = self.question.score, self.steps[trial.rung]
        ends = self._ends(trial, until)
        told = outcome.together([*ends.values()])
        own = sum(end.seconds for nth, end in ends.items() if not trial.sent[nth].known)
        for sent in trial.sent.values() if until and told["status"] == Status.SUCCEEDED else ():
            if self._rows[sent.run].status is Status.STOPPED:
                self.journal.update(sent.run, reason=f"paused at step {until} by {self.sweep}")
        runs = {str(nth): sent.run for nth, sent in trial.sent.items()}
        before = self.state.best(self.top)
        self._say("result", number=trial.number, rung=trial.rung, **told, own=own, runs=runs)
        best = self.state.best(self.top)
        if best is not None and best.score is not None and (best is trial or best is not before):
            values = {score: best.score}
            self._say("metrics", step=self.state.told, split="best", values=values)
        done = len(self.state.trials) - len(self.state.open())
        total = self.question.trials + self.state.more
        steps = int(total) if math.isfinite(total) else None
        self._say("progress", step=done, steps=steps)

    def _ends(self, trial: Trial, until: int | None) -> dict[int, outcome.End]:
        """What became of its runs, by seed."""
        score, rises = self.question.score, self.state.rises
        newest = self.question.settings.name == "pbt"
        return {
            nth: outcome.of(self.journal, self._rows[sent.run], score, rises, until, newest)
            for nth, sent in sorted(trial.sent.items())
        }

    def _alike(self) -> str:
        """Every trial fails for the same reason: the mistake is in what they have in common."""
        count, reasons = 0, set()
        for trial in self.state.trials.values():
            if trial.result and trial.result.status is not Status.FAILED:
                return ""  # mostly the first: there may be thousands
            if trial.result:
                count += 1
                reasons.add(trial.result.reason)
        if count >= min(ALIKE, self.question.trials + self.state.more) and len(reasons) == 1:
            return f"every trial failed alike: {reasons.pop()}"
        return ""

    # ── what goes next ──

    def _send(self) -> None:
        """Runs for trials that lack some, then further trials, as many as there is room for."""
        room = self._slots - self._flying()
        for trial in self.state.open():
            for nth in range(self.question.settings.seeds):
                sent = trial.sent.get(nth)
                if room > 0 and (sent is None or sent.rung < trial.rung):
                    room -= self._launch(trial, nth)
        while room > 0 and self._idle() < WAITING and (more := self._next()) is not None:
            for nth in range(min(room, self.question.settings.seeds)):
                room -= self._launch(more, nth)
        self._line_up()

    def _line_up(self) -> None:
        """Where legs are short beside the window, as many more wait in the scheduler's queue, and
        start without a pause."""
        asked = self.question.settings
        if asked.name not in PAUSING or asked.seeds > 1 or asked.concurrent:
            return
        for _ in range(2 * self._slots - self._flying()):
            with self.watch.queueing(self.state, self._slots) as brief:
                more = self._next() if brief else None
            if more is None:
                return
            self._launch(more, 0)

    def _flying(self) -> int:
        """Runs that were sent and are not over."""
        sent = [s.run for t in self.state.open() for s in t.sent.values() if s.rung == t.rung]
        sent += [trunk.run for trunk in self.state.trunks.values() if trunk.ready is None]
        return sum(run not in self._rows or not self._rows[run].status.over for run in sent)

    def _idle(self) -> int:
        """Trials that wait for their trunks."""
        return sum(not trial.sent for trial in self.state.open())

    def _next(self) -> Trial | None:
        """The trial that goes on, or begins; none when there is none or nothing more fits."""
        move = self.chooser.next(self.state, self.spent(promised=True))
        if isinstance(move, Rise):
            self._say("rung", number=move.number, rung=move.rung)
        elif isinstance(move, Begin):
            name = label(self.question, move.values)
            lineage = {"rung": move.rung, "parent": move.parent, "place": move.place}
            self._say("trial", number=move.number, values=move.values, name=name, **lineage)
        return self.state.trials[move.number] if move else None

    def spent(self, promised: bool = False) -> float:
        """Device-seconds of our runs so far; with what those under way have still to spend."""
        if self.question.window.device_seconds is None:
            return 0.0
        done = sum(t.result.own for t in self.state.trials.values() if t.result)
        done += sum(trunk.seconds for trunk in self.state.trunks.values())
        now = self.clock()
        for trial in self.state.open():
            for sent in trial.sent.values():
                run = self._rows.get(sent.run)
                if run is None or run.status.over or sent.known or sent.rung != trial.rung:
                    continue
                devices = outcome.devices(run)
                ran = devices * (now - run.started) if run.started else 0.0
                leg = self.watch.speed.leg(self.state, trial, trial.rung) or 0.0
                done += max(ran, devices * leg) if promised else ran
        return done

    def _launch(self, trial: Trial, nth: int) -> int:
        """A run of the trial is under way, or known to be answered, or its trunk is; then that is
        written down. How many runs were sent."""
        until, before = self.steps[trial.rung], trial.sent.get(nth)
        if before is not None and (run := self.sender.onward(before.run, until)):
            sent = Sending(run, before.known, before.begin)
        else:
            found = self.sender.first(trial, nth, until, self.state)
            if isinstance(found, Stump):
                return self._planted(found)
            sent = found
        self._rows[sent.run.id] = sent.run
        fields = {"run": sent.run.id, "rung": trial.rung, "until": until}
        more = {"known": sent.known, "begin": sent.begin}
        self._say("sent", number=trial.number, seed=nth, **fields, **more)
        return 1

    def _planted(self, stump: Stump) -> int:
        if stump.run is None:
            return 0
        self._rows[stump.run.id] = stump.run
        self._say("trunk", key=stump.key, run=stump.run.id, step=stump.step)
        return 1

    # ── the end ──

    def end(self, status: Status, why: str) -> None:
        """The last word: scores of the winner, and why it is over."""
        best, row = self.state.best(self.top), self.journal.run(self.sweep)
        values = {f"valid/{self.question.score}": best.score} if best else {}
        if best and self.top in best.results:
            values = {**outcome.test(self._winner(best)), **values}
        seconds = self.clock() - (row.started or row.submitted)
        told = {"steps": self.state.told, "examples": 0, "seconds": seconds, "values": values}
        summary = {**told, "stopped": why, "winner": best.number if best else None}
        self._say("summary", **summary)
        code = {Status.SUCCEEDED: 0, Status.STOPPED: 75}.get(status, self._failure())
        fields = {"attempt": row.attempt, "exit_code": code, "summary": summary}
        self.journal.mark(self.sweep, status, "" if why == ENDED else why, **fields)

    def _failure(self) -> int:
        """The exit code of the runs that failed, where it is one: 2, asked wrongly, or 1."""
        known = {run.exit_code for run in self._rows.values() if run.status is Status.FAILED}
        return (known.pop() or 1) if len(known) == 1 else 1

    def _winner(self, best: Trial) -> list[Run]:
        return rows(self.journal, {sent.run for sent in best.sent.values()})

    def halt(self, reason: str) -> None:
        """Every run of ours that is under way saves and stops."""
        for run in self._going():
            with suppress(TurnaroundError):  # it ended meanwhile, or the pool did
                self.pool.stop(run, reason)
        deadline = time.monotonic() + PATIENCE
        while self._going() and time.monotonic() < deadline:
            time.sleep(GLANCE)

    def _going(self) -> list[str]:
        return [run.id for run in self._ours() if not run.status.over]

    def _ours(self) -> list[Run]:
        """Runs of which something is awaited, without those of others."""
        known = {s.run for t in self.state.open() for s in t.sent.values() if s.known}
        return rows(self.journal, self._awaited() - known)

    def _say(self, kind: str, **data: Any) -> None:
        """Append to the sweep's events, and only then count it."""
        event = Event(kind, data, self.clock(), self._attempt)
        self._file.append(event)
        self.state.add(event)
        self._said += 1


def rows(journal: Journal, runs: Iterable[str]) -> list[Run]:
    """The journal's rows of these runs, without those that are gone."""
    found: list[Run] = []
    ids = sorted(runs)
    for begin in range(0, len(ids), 500):  # sqlite takes so many values and more
        some = ids[begin : begin + 500]
        found += journal.runs(f"id IN ({','.join('?' * len(some))})", some)
    return found


def slots(question: Question, pool: Hand, ahead: bool = True) -> int:
    """Runs that are sent at a time: those that run, and where no result is awaited to choose the
    next as many more or `AHEAD`, which wait in the scheduler's queue and start without a pause."""
    made = planned(question, first(question), Mark("sweep", 0))
    have = (pool.inventory(made.cluster) or facts.inventory()).count(made.cluster.device)
    need = made.devices * (1 if made.cluster.device == "cuda" else made.cluster.threads or 1)
    fits = max(1, int(have / (need * (made.cluster.share or 1))))
    asked = question.settings.concurrent or fits
    if question.settings.fuse:
        return MOST * min(asked, fits)
    if not ahead:
        return min(asked, fits)
    guided = question.settings.name in ("tpe", *PAUSING) or question.window
    return asked if guided or asked < fits else asked + max(asked, AHEAD)
