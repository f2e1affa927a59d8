"""Several runs in one process, trained as one where that was measured to be faster.

    codes = carry([Ride(plan, assignment, send), ...])       # an exit code for each
    code = work(plan, assignment, send)                      # the runs that `plan.carries`

Each stays a run of its own: its events, checkpoints, budget, stop and exit code are those that it
would have alone, and its losses are too, up to rounding. What differs between them may be seeds,
settings of the optimizer and budgets; see `common`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from turnaround import worker
from turnaround.engine import loop, precision
from turnaround.engine.fused import gate
from turnaround.engine.fused.batches import Broad, Shelf, tensors
from turnaround.engine.fused.gate import Choice
from turnaround.engine.fused.group import Group, Member
from turnaround.engine.fused.notes import Notes
from turnaround.engine.fused.stack import learnt
from turnaround.engine.loop import Parts
from turnaround.engine.pace import Progress
from turnaround.engine.recipe import Recipe
from turnaround.engine.report import Report
from turnaround.engine.world import join
from turnaround.errors import ConfigError, Interrupted, LaunchError, PlanError, TurnaroundError
from turnaround.fusible import ENDED, STOP, apart, common
from turnaround.journal.events import EventFile
from turnaround.signature import signature
from turnaround.spec import Assignment, Plan, from_json

GLANCE = 0.25  # seconds between looks whether somebody asked a run to stop
BEAT = 1.0  # seconds between signs of life
COMPARED = 5  # losses of a run by itself and in a group
BACKLOG = 10_000  # lines of a run that are kept while the disk takes none


class Ride(NamedTuple):
    """One of the runs."""

    plan: Plan
    assignment: Assignment
    send: Callable[[str], None]
    kept: Callable[[], bool] = lambda: True  # all of it is safe; what is not is offered again


def carry(rides: Sequence[Ride], size: int | None = None) -> list[int]:
    """Carry all of them out, so many at a time or as many as the gate says; an exit code each."""
    _check(rides)
    codes: dict[int, int] = {}

    def carried(*door: Any) -> None:
        Carriage(rides, codes, *door[2:4]).go(size)

    plan, assignment, *_ = rides[0]
    code = worker.door(carried, plan, assignment, lambda text: None, None)
    return [codes.get(place, code) for place in range(len(rides))]


def work(
    plan: Plan, assignment: Assignment, send: Callable[[str], None], listener: int | None = None
) -> int:
    """The runs that a plan carries, for one that does nothing else; the exit code is its own.

    What they say goes straight to their folders, which are beside its own.
    """

    def carried(
        plan: Plan, assignment: Assignment, report: Report, wish: worker.Wish, _: Any
    ) -> None:
        named = [_named(assignment, run, before) for run, before in plan.carries.items()]
        rides = [ride for ride in named if not (Path(ride.assignment.folder) / ENDED).exists()]
        if rides:
            _check(rides)
            Carriage(rides, {}, report, wish).go()
        if wish():
            raise Interrupted(
                "stopped, and all that it carries", "they go on from their checkpoints"
            )

    return worker.door(carried, plan, assignment, send, listener)


def _named(carrier: Assignment, run: str, before: int) -> Ride:
    """One of the runs that another one carries."""
    folder = Path(carrier.folder).with_name(run)
    plan = from_json(Plan, (folder / "plan.json").read_text())
    mine = replace(carrier, run=run, folder=str(folder), attempt=before + carrier.attempt)
    voice = Voice(folder)
    return Ride(plan, mine, voice.say, voice.kept)


class Voice:
    """What a run says, in its folder. A full disk does not stop a training: lines wait for room."""

    def __init__(self, folder: Path) -> None:
        self._file = EventFile(folder)
        self._backlog: list[bytes] = []

    def say(self, text: str) -> None:
        """Add lines."""
        self._backlog = [*self._backlog, *text.encode().split(b"\n")][-BACKLOG:]
        self.kept()

    def kept(self) -> bool:
        """Offer the disk what waits; whether nothing does any more."""
        with contextlib.suppress(OSError):
            self._backlog = [*self._file.keep(self._backlog)]
        return not self._backlog


def _check(rides: Sequence[Ride]) -> None:
    first = rides[0]
    if strangers := [ride for ride in rides if common(ride.plan) != common(first.plan)]:
        message = f"{strangers[0].assignment.run} is no trial like {first.assignment.run}"
        raise PlanError(message, "only seed, optim and budget may differ")


class Carriage:
    """What the runs of a process share."""

    def __init__(
        self,
        rides: Sequence[Ride],
        codes: dict[int, int],
        report: Report,
        wish: worker.Wish,
    ) -> None:
        self.rides = rides
        self.codes = codes  # by place, of those that are over
        self._unsaid: dict[int, int] = {}  # of them those of which their folder does not know
        self._wish = wish
        self._clock = report.clock
        self._pulse = report
        self._pulsed = time.monotonic()
        self._reports = [self._report(ride) for ride in rides]
        self._shared: dict[int, tuple[Recipe[Any], Broad]] = {}  # by seed
        self._shelves: dict[int, Shelf] = {}  # by the id of its feed

    def go(self, size: int | None = None) -> None:
        """Until every run is over; what ends the process is said for each that is not."""
        try:
            self._go(size)
        except BaseException as error:
            for place in range(len(self.rides)):
                if place not in self.codes:
                    self._over(place, error)
            raise

    def _go(self, size: int | None) -> None:
        plan = self.rides[0].plan
        with (
            join(self.rides[0].assignment) as self._world,
            precision.named(plan.precision).parameters(),
        ):
            with self._clock("build"):
                choice = self._choice() if size is None else Choice(size)
            threads = {"threads": torch.get_num_threads(), "device": str(self._world.device)}
            here = {"pid": os.getpid(), "host": platform.node(), **threads}
            for report in self._reports:
                report.event("worker", **here, gain=choice.gain)
                report.event("notice", message=str(choice))
            self._wish.defer()
            places = iter(range(len(self.rides)))
            for share in gate.shares(len(self.rides), choice.size):
                chosen = [next(places) for _ in range(share)]
                self._together(chosen) if choice.size > 1 else self._alone(chosen[0])
        if self._unsaid and not self._wish():
            message = f"no room on the disk for the last words of {len(self._unsaid)} runs"
            raise LaunchError(message, "free some space: they go on from their checkpoints")

    # ── carrying out ──

    def _together(self, places: list[int]) -> None:
        """These as one group."""
        found = {place: self._member(place) for place in places}
        members = {place: member for place, member in found.items() if member}
        if not members:
            return
        back = {id(member): place for place, member in members.items()}

        def over(member: Member, error: Exception | None) -> int:
            return self._over(back[id(member)], error)

        Group([*members.values()], self._shelves, over).train()

    def _alone(self, place: int) -> None:
        """This one as if it had the process to itself."""
        failed = None
        try:
            with self._clock("build"):
                parts = self._parts(place, shared=False)
            now = loop.fit(parts)
            with self._clock("finish"):
                loop.finish(parts, now)
        except Exception as error:  # the run's door: the others go on
            failed = error
        self._over(place, failed)

    def _member(self, place: int) -> Member | None:
        """A run as it stands; none when it cannot even begin."""
        try:
            with self._clock("build"):
                parts = self._parts(place)
                now = loop.restore(parts)
                parts.model.train()
                plan = self.rides[place].plan
                return Member(parts, now, plan.optim, _last(plan))
        except Exception as error:  # the run's door: the others go on
            self._over(place, error)
            return None

    def _over(self, place: int, error: BaseException | None) -> int:
        """The last words of a run; its exit code. One that stops because the process does goes on
        with the next attempt, and has not ended."""
        report, assignment = self._reports[place], self.rides[place].assignment
        code = worker.told(error, report, assignment) if error else 0
        report.hurried = True
        report.account()
        self.codes[place] = code
        if not (code in worker.STOPPED and self._wish()):
            report.event("ended", exit_code=code)
            self._unsaid[place] = code
            self._settle()
        return code

    def _settle(self) -> None:
        """Write down who has ended, after its last words: what a full disk refuses comes later."""
        for place, code in [*self._unsaid.items()]:
            file = Path(self.rides[place].assignment.folder) / ENDED
            with contextlib.suppress(OSError):
                if self.rides[place].kept():
                    fresh = file.with_suffix(".new")  # whole or not at all
                    fresh.write_text(str(code))
                    fresh.replace(file)
                    del self._unsaid[place]

    # ── what each is made of ──

    def _parts(self, place: int, report: Report | None = None, shared: bool = True) -> Parts:
        plan, assignment, *_ = self.rides[place]
        report = report or self._reports[place]
        given = self._given(plan, assignment) if shared else None
        stopping = Asked(Path(assignment.folder), self._wish, self._beat)
        made = worker.assemble(plan, assignment, self._world, report, stopping, given)
        if shared:
            made.curve.among(len(self.rides))
        return made

    def _given(self, plan: Plan, assignment: Assignment) -> tuple[Recipe[Any], Broad]:
        """Recipe and examples, which follow from the seed."""
        if plan.seed not in self._shared:
            recipe = worker.recipe_of(plan, Path(assignment.folder), Path(assignment.code))
            if not recipe.fusible:
                raise ConfigError(f"recipe {plan.recipe.name} does not allow it", "fusible = True")
            feed = Broad(recipe, plan, self._world)
            self._shared[plan.seed] = recipe, feed
            self._shelves[id(feed)] = Shelf(feed)
        return self._shared[plan.seed]

    def _beat(self) -> None:
        """Let the process be seen to live, once a second."""
        now = time.monotonic()
        if now - self._pulsed > BEAT:
            self._pulsed = now
            self._pulse.account()
            self._settle()

    def _report(self, ride: Ride) -> Report:
        return Report(ride.send, ride.assignment.attempt, 0, self._clock)

    # ── choosing ──

    def _choice(self) -> Choice:
        """What the gate says; what cannot be fused is trained one by one."""
        if len(self.rides) == 1:
            return Choice(why="there is one")
        if why := apart(self.rides[0].plan):
            return Choice(why=why)
        alone, first = Trace(), Trace()
        try:
            parts, trials = self._parts(0, first), len(self.rides)
            gate.fit(parts)
            solo, grouped = functools.partial(self._solo, alone), self._grouped(first)
            asked = (solo, grouped, trials, self._work(), self._ticker())
            choice = gate.choose(*asked, self._notes(parts))
            if choice.size > 1 and not first.losses:  # all was known
                gate.pace(grouped(gate.sizes(trials)[0]), self._ticker(), 0.0)
            precise = self.rides[0].plan.precision == "fp64"
            if gate.same(alone.losses[:COMPARED], first.losses[:COMPARED], precise):
                return choice
            return Choice(why="together its losses are not those of a run by itself")
        except TurnaroundError as error:
            return Choice(why=error.message)
        except Exception as error:  # torch cannot map some operation, or there is no memory
            return Choice(why=f"{type(error).__name__}: {error}".splitlines()[0])

    def _notes(self, parts: Parts) -> Notes:
        """Beside what the recipe keeps: of this machine, and of what makes a step take as long as
        it does. Knobs are not in it, of which most change nothing or change a shape."""
        plan, assignment, *_ = self.rides[0]
        shapes = {name: [*p.shape] for name, p in learnt(parts.model).items()}
        batch = [[*part.shape] for part in tensors(next(parts.feed.pieces(0)).batch)]
        where = [platform.node(), str(self._world.device), torch.get_num_threads()]
        code = [plan.recipe.name, plan.place.code, plan.version, torch.__version__]
        asked = [code, where, plan.optim.name, plan.precision, shapes, batch]
        cache = Path(assignment.folder).parents[1] / "cache" / plan.recipe.name
        return Notes(cache / f"gate-{signature(asked)}.json")

    def _work(self) -> float:
        """Steps of all runs; there is no telling under a budget of time."""
        return sum(_last(ride.plan) for ride in self.rides)

    def _solo(self, trace: Trace) -> gate.Step:
        """A step of a run by itself, with everything on."""
        parts = self._parts(0, trace, shared=False)
        parts.model.train()
        return loop.learner(parts, Progress())

    def _grouped(self, first: Trace) -> Callable[[int], gate.Step]:
        """A step of so many of the runs; `first` hears of the first."""
        made: list[Parts] = []

        def grouped(size: int) -> gate.Step:
            for place in range(len(made), size):
                made.append(self._parts(place, Trace() if place else first))
            plans = [ride.plan for ride in self.rides[:size]]
            members = [
                Member(parts, Progress(), plan.optim, _last(plan))
                for parts, plan in zip(made, plans, strict=False)
            ]
            group = Group(members, self._shelves, lambda member, error: 1)
            group.warm()
            return group.step

        return grouped

    def _ticker(self) -> Callable[[], float]:
        """A clock: of our own work where there is one thread, so that no neighbour is in it."""
        if self._world.device.type == "cuda":
            return _synchronized
        return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


class Trace(Report):
    """Says nothing, and keeps what the training losses were."""

    def __init__(self) -> None:
        super().__init__(lambda line: None, 0, 0)
        self.losses: list[float] = []

    def event(self, kind: str, /, **data: Any) -> None:
        """Nobody hears it."""

    def line(self, kind: str, data: Callable[..., str], *what: Any) -> None:
        """Keep the loss of a point."""
        if kind == "metrics":
            _, (loss, *_) = what
            self.losses.append(loss)


class Asked:
    """Whether somebody wants a run to stop: this process as a whole, or this run alone."""

    def __init__(self, folder: Path, wish: Callable[[], bool], beat: Callable[[], None]) -> None:
        self._file, self._wish, self._beat = folder / STOP, wish, beat
        self._looked, self._there = -math.inf, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._looked > GLANCE:
            self._looked, self._there = now, self._file.exists()
            self._beat()
        return self._there or self._wish()


def _last(plan: Plan) -> float:
    """The step after which a run is over; there is no telling under a budget of time."""
    return min(plan.until or math.inf, plan.budget.within(plan.data) or math.inf)


def _synchronized() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()
