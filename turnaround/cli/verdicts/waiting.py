"""Why a run waits: what it lacks, who holds that, until when, and what would start it now.

    wait = explain(journal, run)
    wait.reason             # "needs 2 CPU cores, 0 of 2 are free"
    wait.words              # ("layout=single",)

The scheduler's own rules (`pool/queue/queue.py`) are asked what they would do if things
were different.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from turnaround.advice.facts import Facts
from turnaround.cli.views import outlook
from turnaround.cli.views.again import command, retyped, titled
from turnaround.cli.views.tail import latest
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal, Run
from turnaround.launch.pool import Pool
from turnaround.pool.machines import Machine, inventory
from turnaround.pool.node.gang import Placement
from turnaround.pool.queue import queue, room, turn
from turnaround.spec import Cluster, Layout, Plan, Status
from turnaround.spec.kinds import URGENT

DEGREES = {"single": "replicate", "ddp": "replicate", "fsdp": "shard"}  # with one degree only
KINDS = {"cpu": "CPU core", "cuda": "GPU"}


@dataclass(frozen=True)
class Holder:
    """A run that has devices."""

    run: str
    cpus: float
    gpus: float
    left: Interval | None  # seconds until it should be over; none when nobody can know


@dataclass(frozen=True)
class Wait:
    """Why a run waits."""

    reason: str
    holders: tuple[Holder, ...] = ()
    ahead: tuple[str, ...] = ()  # runs that go first
    starts: Interval | None = None  # seconds until it should start
    words: tuple[str, ...] = ()  # that would start it now
    command: str = ""  # that would, where no words do


@dataclass(frozen=True)
class Scene:
    """The queue as the scheduler sees it."""

    run: Run
    plan: Plan
    others: list[Run]  # that wait as well
    plans: dict[str, Plan]
    holders: dict[str, list[Placement]]
    machines: list[Machine]

    def starts(self, gone: tuple[str, ...] = ()) -> bool:
        """The run would start if those holders were gone."""
        waiting = sorted([self.run, *self.others], key=lambda run: (-run.priority, run.submitted))
        held = {run: place for run, place in self.holders.items() if run not in gone}
        plans = {**self.plans, self.run.id: self.plan}
        starts, _ = queue.decide(waiting, plans.__getitem__, held, self.machines)
        return self.run.id in starts

    def otherwise(self, plan: Plan) -> Scene:
        """If the run were asked for now, with this plan."""
        run = replace(self.run, priority=plan.cluster.priority, submitted=time.time())
        return replace(self, run=run, plan=plan)


def explain(journal: Journal, run: Run) -> Wait:
    """Why a queued run waits."""
    if run.cluster != "pool":
        return Wait(run.reason or "its own process is about to begin")
    machines = Pool(journal.root).machines()
    if not machines:
        return Wait("no pool is up", command="turnaround up")
    scene = _scene(journal, run, machines)
    now = time.time()
    left = {id: latest(journal, journal.run(id)).left(now) for id in scene.holders}
    holders = (
        Holder(
            id, sum(p.cpus for p in places), sum(len(p.gpus) * p.share for p in places), left[id]
        )
        for id, places in scene.holders.items()
    )
    words = next((words for words, plan in _cheaper(scene) if scene.otherwise(plan).starts()), ())
    return Wait(
        _reason(scene),
        tuple(sorted(holders, key=lambda holder: _known(holder.left))),
        tuple(other.id for other in scene.others if _before(other, run)),
        outlook.waits(journal, now).get(run.id),
        words,
        "" if words else _stopped(scene, left),
    )


def told(wait: Wait, facts: Facts) -> dict[str, Any]:
    """As plain JSON types, with the line to type."""
    return asdict(wait) | {"type": retyped(facts.words, wait.words)}


def lines(run: Run, facts: Facts, wait: Wait) -> Iterator[str]:
    """What people read."""
    yield f"{run.id} {run.status}: {wait.reason}"
    for holder in wait.holders:
        yield titled("held by", f"{holder.run}: {_held(holder)}, {_until(holder.left)}")
    if wait.ahead:
        yield titled("behind", ", ".join(wait.ahead))
    if wait.starts:
        yield titled("starts", outlook.soon(wait.starts).removeprefix("starts "))
    if wait.words:
        yield titled("to start", f"now: {' '.join(wait.words)}")
        yield command("  type", f"turnaround stop {run.id} && {retyped(facts.words, wait.words)}")
    elif wait.command:
        yield titled("to start", f"now: {wait.command}")


def _held(holder: Holder) -> str:
    parts = [(holder.cpus, KINDS["cpu"]), (holder.gpus, KINDS["cuda"])]
    return ", ".join(_counted(count, name) for count, name in parts if count)


def _counted(count: float, name: str) -> str:
    """`2 CPU cores`, `1 GPU`, `0.5 GPU`."""
    return f"{count:g} {name}{'s' * (count > 1)}"


def _until(left: Interval | None) -> str:
    return outlook.told(left) if left else "nobody knows for how long"


# ── what the scheduler would do ──


def _scene(journal: Journal, run: Run, machines: list[Machine]) -> Scene:
    rows = journal.queue()
    plans = {row.id: journal.plan(row.id) for row in rows}
    others = [row for row in rows if row.status is Status.QUEUED and row.id != run.id]
    holders: dict[str, list[Placement]] = {}
    for row in rows:
        if row.status is not Status.QUEUED:
            left = room.free(machines, holders)
            holders[row.id] = room.place(plans[row.id], left, machines) or []
    return Scene(run, journal.plan(run.id), others, plans, holders, machines)


def _before(other: Run, run: Run) -> bool:
    return (-other.priority, other.submitted) < (-run.priority, run.submitted)


def _reason(scene: Scene) -> str:
    """What it needs, and how much of that is free."""
    plan, machines = scene.plan, scene.machines
    left = room.free(machines, scene.holders).values()
    kind = "cuda" if plan.cluster.device == "cuda" else "cpu"
    _, have, _ = turn.demand(plan, left)
    whole = room.place(plan, room.free(machines, {}), machines) or []
    need = sum(place.cpus or len(place.gpus) * place.share for place in whole) or plan.devices
    of = inventory(machines, Cluster()).count(kind)
    told = f"needs {_counted(need, KINDS[kind])}: {max(have, 0):g} of {of} {_are(have)} free"
    return told if have < need else f"{told}, but others go first"


def _are(count: float) -> str:
    return "is" if count == 1 else "are"


def _known(left: Interval | None) -> float:
    return left.middle if left else float("inf")


def _cheaper(scene: Scene) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """Ways to ask for less, or to go first: what costs least comes first."""
    plan = scene.plan
    first = max((other.priority for other in scene.others), default=0) + 1
    for words, fewer in _smaller(plan):
        yield words, fewer
        if plan.cluster.priority < first <= URGENT:
            cluster = replace(fewer.cluster, priority=first)
            yield (*words, f"cluster.priority={first}"), replace(fewer, cluster=cluster)


def _smaller(plan: Plan) -> Iterator[tuple[tuple[str, ...], Plan]]:
    """The plan on fewer cores or devices; the same curve, more slowly."""
    yield (), plan
    layout, few = plan.layout, replace(plan.cluster, threads=1)
    if (plan.cluster.threads or 1) > 1:
        yield ("cluster.threads=1",), replace(plan, cluster=few)
    if degree := DEGREES.get(layout.name):
        for count in range(layout.devices - 1, 1, -1):
            degrees: dict[str, Any] = {degree: count}
            less = replace(layout, **degrees)
            yield (f"layout.{degree}={count}",), replace(plan, layout=less, cluster=few)
        alone = replace(plan, layout=Layout(), cluster=few)
        yield ("layout=single",), alone
        if plan.cluster.device == "cuda":
            cluster = replace(few, device="cpu")
            yield ("layout=single", "cluster.device=cpu"), replace(alone, cluster=cluster)


def _stopped(scene: Scene, left: dict[str, Interval | None]) -> str:
    """The command that saves one holder and makes room: the one that takes longest, of equals."""
    for run in sorted(left, key=lambda run: -_known(left[run])):
        if scene.starts((run,)):
            return f"turnaround stop {run}"
    return ""
