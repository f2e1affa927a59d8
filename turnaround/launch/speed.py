"""Seconds and memory of a recipe's steps on this machine, from short runs in throw-away processes.

    speeds = measured(plan, home, counts=[1, 2], seconds=20.0, heard=print)
    speeds = stored(plan, home)             # what was measured before, of this code on such devices
    speeds.steps, speeds.most

For each number of devices batches are doubled until time or memory ends. On a CPU a process may
allocate its part of half the memory that is free, on a GPU what nobody holds: a real run beside it
is never short of any. What does not fit ends the process that tried it, and so its size is known.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import psutil

from turnaround import plan as planning
from turnaround.errors import LaunchError, PlanError
from turnaround.forecast.speed import Size, Speeds
from turnaround.launch.facts import inventory
from turnaround.launch.throwaway import Done, Limits, carried_out
from turnaround.signature import signature
from turnaround.spec import Budget, Event, Layout, Plan, Update

ENTRY = "turnaround.worker:gauge"
LONG = 600.0  # seconds that a run takes before which a probe should not be noticed:
SHARE = 0.025  # it takes so much of it at most,
LONGEST = 60.0  # and never more seconds than that
EARLIER = 0.85  # of its time: then it stops by itself, and has something to say
FREE = 0.5  # of the free memory of a machine
HINT = "turnaround plan … --no-probe goes by what runs before have shown"

Heard = Callable[[Size], None]


def limit(expected: float | None) -> float:
    """Seconds for a probe before a run that should take so many; none: nobody knows."""
    if expected is None or expected < LONG:
        return LONGEST  # there is time, but it ends by itself
    return min(SHARE * expected, LONGEST)


def counts(plan: Plan, most: int) -> list[int]:
    """How many devices of this machine to try: 1, 2, 4, … up to `most`."""
    have = min(inventory().count(plan.cluster.device), most)
    return [2**i for i in range(have.bit_length())]


def measured(
    plan: Plan, root: Path, counts: Sequence[int], seconds: float, heard: Heard, free: int = 0
) -> Speeds:
    """What each number of devices came to, in so many seconds together; it is stored as well.

    `free` bytes are there to be used; 0: what the machine says.
    """
    if plan.optim.name == "lbfgs":
        message = "a probe times steps that are alike, and those of optim=lbfgs are not"
        raise PlanError(message, HINT)
    if plan.cluster.name == "remote":
        raise PlanError("a probe cannot reach the machines of another cluster", HINT)
    speeds = stored(plan, root)
    for count in counts:
        found = _measured(plan, root, count, Limits(seconds / len(counts), free), heard)
        speeds = speeds.with_(found)
        _store(plan, root, speeds)
    return speeds


def _measured(plan: Plan, root: Path, count: int, limits: Limits, heard: Heard) -> Speeds:
    sizes: dict[int, Size] = {}  # by batch; what is said of one again holds

    def take(event: Event) -> None:
        if event.kind == "gauge":
            found = Size(count, **event.data)
            sizes[found.batch] = found
            heard(found)

    free = limits.memory or int(FREE * psutil.virtual_memory().available)
    memory = free // count if plan.cluster.device == "cpu" else None
    short = _short(plan, count, EARLIER * limits.seconds)
    done = carried_out(short, root, replace(limits, memory=memory), take)
    full = _full(done)
    if not sizes:
        what = f"a batch of {short.data.batch} on {count} device{'s' * (count > 1)}"
        if full:
            raise PlanError(f"{what} does not fit the memory", "a smaller data.batch")
        reason = done.reason if done.code is not None else f"not done in {limits.seconds:.0f} s"
        raise LaunchError(f"the probe of {what} failed: {reason}", HINT)
    return Speeds([*sizes.values()], max(sizes) // count if full else None)


def _full(done: Done) -> bool:
    """It ended for want of memory: it said so, or the kernel ended it."""
    told = any(
        event.kind == "error" and event.data["message"].startswith("out of memory")
        for event in done.events
    )
    return told or done.code == -signal.SIGKILL


def _short(plan: Plan, count: int, seconds: float) -> Plan:
    """The plan on so many devices in step, from half its batch on."""
    batch = max(plan.data.batch // 2 // count, 1) * count
    degrees = Layout("ddp" if count > 1 else "single", replicate=count)
    flags = {n: getattr(plan.layout, n) for n in ("activation_checkpointing", "compile")}
    return replace(
        plan,
        entry=ENTRY,
        data=replace(plan.data, batch=batch, whole=False, grow=1, sortagrad=False),
        layout=replace(degrees, **flags),
        update=Update(groups=1),
        budget=Budget(time=seconds),
        cluster=replace(plan.cluster, threads=planning.threads(count, inventory())),
    )


# ── what was measured before ──


def stored(plan: Plan, root: Path) -> Speeds:
    """What probes of this recipe's code and knobs found on such hardware; nothing if none did."""
    try:
        fields = json.loads(_file(plan, root).read_text())
        return Speeds([Size(**size) for size in fields["sizes"]], fields["most"])
    except (OSError, ValueError, KeyError, TypeError):
        return Speeds()


def _store(plan: Plan, root: Path, speeds: Speeds) -> None:
    file = _file(plan, root)
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(asdict(speeds)))
    new.replace(file)  # whole, or not there


def _file(plan: Plan, root: Path) -> Path:
    """By the signature of all that seconds and bytes depend on, but for the sizes tried."""
    place, flags = plan.place, (plan.layout.activation_checkpointing, plan.layout.compile)
    what = [asdict(plan.recipe), place.code, place.interpreter, place.data, plan.data.bucket]
    what += [plan.optim.name, plan.precision, *flags, _hardware(plan.cluster.device)]
    return root / "cache" / "speed" / f"{signature(what)}.json"


def _hardware(device: str) -> str:
    """Which devices these are: `cuda NVIDIA H100 80GB HBM3`, `cpu Intel(R) Xeon(R) … 2`."""
    if device == "cuda":
        told = [f.read_text() for f in Path("/proc/driver/nvidia/gpus").glob("*/information")]
        kinds = {kind.strip() for text in told for kind in re.findall(r"Model:(.*)", text)}
        return f"cuda {' '.join(sorted(kinds))}"
    file = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:(.*)", file.read_text()) if file.exists() else []
    kind = names[0].strip() if names else platform.machine()
    return f"cpu {kind} {inventory().cpus}"
