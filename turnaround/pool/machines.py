"""The machines of a cluster and what they offer, as the scheduler and a command line see them.

    machine = Machine("4f1c…", "10.0.0.7", cpus=16, gpus=8, kind="H100", labels={"zone": "b"})
    machine.suits(plan.cluster)                # it has the labels and the kind that are asked for
    inventory([machine, …], plan.cluster)      # what a plan may use, or PlanError

The scheduler writes down who is there; a command line reads that and need not ask Ray.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from turnaround.errors import PlanError, near
from turnaround.pool.places import Places, Record
from turnaround.spec import Cluster, Inventory

_KIND = "accelerator_type:"  # Ray's resource that says what a node's accelerators are
_HEAD = "node:__internal_head__"


@dataclass(frozen=True)
class Machine:
    """One node of a Ray cluster."""

    id: str  # Ray's
    address: str
    cpus: int
    gpus: int
    kind: str = ""  # of its accelerators: H100
    labels: dict[str, str] = field(default_factory=dict)
    head: bool = False  # the scheduler is there, and the folders of the runs

    def suits(self, asked: Cluster) -> bool:
        """It has the labels, and the kind of device, that are asked for."""
        kind = asked.kind is None or asked.kind.lower() == self.kind.lower()
        return kind and all(self.labels.get(name) == value for name, value in asked.labels.items())


def visible_gpus() -> list[str] | None:
    """What CUDA_VISIBLE_DEVICES names: indices, UUIDs or parts of a GPU; none: it hides nothing."""
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    if said is None:
        return None
    return [name for each in said.split(",") if (name := each.strip()) not in ("", "-1")]


def told(node: dict[str, Any]) -> Machine:
    """One of `ray.nodes()`."""
    has = node["Resources"]
    kind = next((name.removeprefix(_KIND) for name in has if name.startswith(_KIND)), "")
    return Machine(
        id=node["NodeID"],
        address=node["NodeManagerAddress"],
        cpus=int(has.get("CPU", 0)),
        gpus=int(has.get("GPU", 0)),
        kind=kind,
        labels=dict(node.get("Labels") or {}),
        head=_HEAD in has,
    )


def suiting(machines: Sequence[Machine], asked: Cluster) -> list[Machine]:
    """Those that may be used, the head first, then the largest."""
    found = [machine for machine in machines if machine.suits(asked)]
    return sorted(found, key=lambda m: (not m.head, -m.gpus, -m.cpus, m.address))


def inventory(machines: Sequence[Machine], asked: Cluster) -> Inventory:
    """What all machines that suit have together; PlanError when none does."""
    found = suiting(machines, asked)
    if not found:
        raise _nothing(machines, asked)
    return Inventory(sum(m.cpus for m in found), sum(m.gpus for m in found))


def _nothing(machines: Sequence[Machine], asked: Cluster) -> PlanError:
    if not machines:
        return PlanError("the cluster has no machine", "it may be coming up: try again")
    kinds = sorted({machine.kind for machine in machines if machine.kind})
    if asked.kind is not None and asked.kind.lower() not in map(str.lower, kinds):
        message = f"cluster.kind={asked.kind}: no machine of the cluster has that"
        return PlanError(message, near(asked.kind, kinds) if kinds else "leave it out")
    have = sorted({f"{name}={value}" for m in machines for name, value in m.labels.items()})
    mine = [label for label in have if not label.startswith("ray.io/")] or have
    message = f"cluster.labels: no machine of the cluster has {asked.hints}"
    return PlanError(message, f"there are {', '.join(mine)}" if mine else "leave it out")


# ── for command lines, which do not ask Ray ──


def write(places: Places, machines: Sequence[Machine]) -> None:
    """Whole or not at all; the scheduler does it when they change."""
    fresh = places.machines.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(machine) for machine in machines]))
    fresh.replace(places.machines)


def read(places: Places, record: Record) -> list[Machine]:
    """The machines of the pool that is up; before anybody has looked, the one it started on."""
    try:
        return [Machine(**fields) for fields in json.loads(places.machines.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return [Machine("", record.address, record.cpus, record.gpus, head=True)]


def forget(places: Places) -> None:
    """The pool is not up any more, or not yet."""
    places.machines.unlink(missing_ok=True)
