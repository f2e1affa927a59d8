"""`update=auto`: a short probe of this machine with this recipe, and what it makes best.

    config, choice = decide(asked, facts, home)     # the config says which update now
    plan = plan.make(config, facts)                 # as for any other

The probe is carried out in processes of its own (`throwaway.py`). What it found is kept for an
hour: by recipe, layout and number of devices.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

from turnaround import plan as planning
from turnaround.config import Config
from turnaround.errors import LaunchError, PlanError
from turnaround.forecast.modes import ALONE, OFFERED, Choice, Mode, Rank, choose
from turnaround.launch.facts import inventory
from turnaround.launch.throwaway import Done, Limits, carried_out
from turnaround.plan import Facts
from turnaround.signature import signature
from turnaround.spec import Layout, Plan

FRESH = 3600.0  # seconds for which a probe's findings hold
PATIENCE = 300.0  # seconds for a probe: some twenty steps
ENTRY = "turnaround.worker:measure"


def decide(asked: Config, facts: Facts, root: Path) -> tuple[Config, Choice]:
    """What was asked, with the best update and its layout in place of `auto`."""
    unit, count = planning.units(asked, facts)
    if count == 1:
        return _with(asked, unit, 1, ALONE.best), ALONE
    if asked.cluster.name == "remote":
        message = "update=auto cannot probe the machines of another cluster"
        raise PlanError(message, f"update={' or '.join(OFFERED)}")
    made = planning.make(_with(asked, unit, count, Mode("local", 0.0, "")), facts)
    choice = choose(probed(made, root), offered(made))
    return _with(asked, unit, count, choice.best), choice


def offered(plan: Plan) -> list[str]:
    """The updates that groups like those of this plan can have."""
    out = {"async", "hybrid", "backup"} if plan.layout.devices > 1 else set()
    if plan.optim.name == "lbfgs":
        out = {*OFFERED} - {"sync"}
    return [name for name in OFFERED if name not in out]


def _with(asked: Config, unit: Layout, count: int, mode: Mode) -> Config:
    """So many units under that update, `mode.together` of them in a group."""
    together = mode.together or count
    update = replace(asked.update, name=mode.name, groups=count // together)  # type: ignore[arg-type]  # one of Update's names
    update = replace(update, **mode.settings)  # type: ignore[arg-type]  # its knobs
    return replace(asked, update=update, layout=planning.together(unit, together))


# ── the probe ──


def probed(plan: Plan, root: Path) -> list[Rank]:
    """What each group of the plan found, at most an hour ago."""
    file = root / "cache" / "probe" / f"{_key(plan)}.json"
    if file.exists() and time.time() - file.stat().st_mtime < FRESH:
        return [Rank(**fields) for fields in json.loads(file.read_text())]
    found = _probe(plan, root)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps([asdict(rank) for rank in found]))
    new.replace(file)  # whole, or not there
    return found


def _key(plan: Plan) -> str:
    """What its seconds depend on, as far as a plan says."""
    place = plan.place
    what = [place.project, place.code, place.interpreter, place.data]
    what += [plan.optim.name, plan.cluster.device, plan.precision]
    parts = [asdict(plan.recipe), asdict(plan.data), asdict(plan.layout), asdict(plan.update)]
    return signature([*what, *parts])


def _probe(plan: Plan, root: Path) -> list[Rank]:
    """Carried out in processes of its own, which end with it."""
    _check(plan)
    done = carried_out(replace(plan, entry=ENTRY), root, Limits(PATIENCE))
    if done.code is None:
        raise LaunchError(f"the probe took more than {PATIENCE:.0f} s", HINT)
    return _heard(plan, done)


def _check(plan: Plan) -> None:
    """Several ranks may share a core for a while, but not a GPU."""
    have = inventory().gpus
    if plan.cluster.device == "cuda" and plan.devices > have:
        message = f"update=auto probes this machine, which has {have} of {plan.devices} GPUs"
        raise PlanError(message, HINT)


HINT = f"update={' or '.join(OFFERED)}, without a probe"


def _heard(plan: Plan, done: Done) -> list[Rank]:
    """Each group's, by its first rank; LaunchError when one said nothing."""
    size = plan.layout.devices
    said = {event.rank: event.data for event in done.events if event.kind == "probe"}
    if missing := [rank for rank in range(0, plan.devices, size) if rank not in said]:
        message = f"the probe for update=auto failed on rank {missing[0]}: {done.reason}"
        raise LaunchError(message, HINT)
    return [Rank(**said[rank]) for rank in range(0, plan.devices, size)]
