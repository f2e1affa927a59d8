"""What starts, where it lies and what waits, decided without any process."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

from tests.examples import example_plan, example_run
from turnaround.journal import Run
from turnaround.pool.gang import Placement
from turnaround.pool.machines import Machine
from turnaround.pool.queue import Places, decide, free, place
from turnaround.spec import Layout, Plan, Update

TWO = [Machine("a", "127.0.0.1", cpus=2, gpus=0, head=True)]
GPUS = [Machine("a", "127.0.0.1", cpus=8, gpus=4, head=True)]
BOTH = [Machine("head", "10.0.0.1", 8, 4, head=True), Machine("other", "10.0.0.2", 8, 4)]
WIDE = [
    Machine("head", "10.0.0.1", 4, 0, head=True),
    Machine("big", "10.0.0.2", 16, 8, "H100", {"zone": "b"}),
    Machine("old", "10.0.0.3", 16, 8, "V100", {"zone": "a"}),
]


def gang(devices: int, device: Literal["cpu", "cuda"] = "cpu", threads: int = 1) -> Plan:
    return lying(Layout("ddp", devices), device=device, threads=threads)


def lying(layout: Layout, groups: int = 1, **cluster: Any) -> Plan:
    plan = example_plan()
    hints = replace(plan.cluster, **{"device": "cpu", "threads": 1, **cluster})
    return replace(plan, layout=layout, update=Update(groups=groups), cluster=hints)


def queued(*names: str) -> list[Run]:
    now = time.time()
    return [replace(example_run(name), submitted=now + i) for i, name in enumerate(names)]


def held(cpus: int = 0, gpus: tuple[int, ...] = (), machine: str = "a") -> Places:
    return [Placement(cpus, list(gpus), [0], machine)]


def ranks(plan: Plan, machines: list[Machine], holders: dict[str, Places]) -> dict[str, list[int]]:
    """Which ranks of the plan each machine gets."""
    places = place(plan, free(machines, holders), machines) or []
    return {placement.machine: placement.ranks for placement in places}


# ── one machine ──


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    plans = {"a": gang(2)}
    starts, waits = decide(queued("a"), plans.__getitem__, {"b": held(1)}, TWO)
    assert starts == {}
    assert waits == {"a": "waits for 2 CPU: 1 free, held by b"}


def test_nothing_overtakes_a_run_that_waits() -> None:
    plans = {"big": gang(2), "small": gang(1)}
    starts, waits = decide(queued("big", "small"), plans.__getitem__, {"b": held(1)}, TWO)
    assert starts == {}
    assert waits["small"] == "waits its turn behind big"


def test_what_fits_together_starts_together() -> None:
    plans = {"a": gang(1), "b": gang(1), "c": gang(1)}
    starts, waits = decide(queued("a", "b", "c"), plans.__getitem__, {}, TWO)
    assert starts == {"a": held(1), "b": held(1)}
    assert waits == {"c": "waits for 1 CPU: 0 free, held by nobody"}


def test_threads_count_as_devices_of_the_cpu_but_never_more_than_there_are() -> None:
    plans = {"a": gang(1, threads=16)}
    starts, _ = decide(queued("a"), plans.__getitem__, {}, TWO)
    assert starts == {"a": held(2)}


def test_a_run_planned_for_more_cores_than_are_left_gets_all_there_are() -> None:
    assert ranks(gang(4), TWO, {}) == {"a": [0, 1, 2, 3]}
    assert ranks(gang(4), TWO, {"b": held(1)}) == {}


def test_gpus_are_handed_out_by_index() -> None:
    plans = {"a": gang(2, "cuda"), "b": gang(1, "cuda")}
    starts, _ = decide(queued("a", "b"), plans.__getitem__, {"c": held(gpus=(1,))}, GPUS)
    assert [starts[run][0].gpus for run in ("a", "b")] == [[0, 2], [3]]


def test_what_gangs_hold_is_not_free() -> None:
    left = free(GPUS, {"a": held(gpus=(0, 3)), "b": held(3)})["a"]
    assert (left.cpus, left.gpus) == (5, (1, 2))


# ── several ──


def test_a_gang_that_fits_one_machine_is_not_spread() -> None:
    assert ranks(gang(4), BOTH, {}) == {"head": [0, 1, 2, 3]}
    assert ranks(gang(4), BOTH, {"b": held(5, machine="head")}) == {"other": [0, 1, 2, 3]}


def test_the_parts_of_a_replica_stay_on_one_machine() -> None:
    plan = lying(Layout("hsdp", replicate=2, shard=3))
    holders = {"b": held(4, machine="head")}  # 4 and 8 cores are left
    assert ranks(plan, BOTH, holders) == {"other": [0, 1, 2, 3, 4, 5]}
    holders["c"] = held(3, machine="other")  # 4 and 5
    assert ranks(plan, BOTH, holders) == {"head": [0, 1, 2], "other": [3, 4, 5]}


def test_groups_of_an_update_stay_together_before_their_replicas_do() -> None:
    plan = lying(Layout("ddp", replicate=3), groups=3)
    holders = {"b": held(4, machine="head")}
    assert ranks(plan, BOTH, holders) == {"head": [0, 1, 2], "other": [3, 4, 5, 6, 7, 8]}


def test_what_does_not_fit_in_whole_replicas_is_cut_where_it_must() -> None:
    plan = lying(Layout("fsdp", shard=6))
    holders = {"b": held(4, machine="head"), "c": held(6, machine="other")}
    assert ranks(plan, BOTH, holders) == {"head": [0, 1, 2, 3], "other": [4, 5]}


def test_spread_out_each_machine_gets_as_many_replicas() -> None:
    plan = lying(Layout("hsdp", replicate=2, shard=2), pack=False)
    assert ranks(plan, BOTH, {}) == {"head": [0, 1], "other": [2, 3]}


def test_labels_and_kinds_say_which_machines_are_meant() -> None:
    zone = lying(Layout("ddp", 2), labels={"zone": "a"})
    assert ranks(zone, WIDE, {}) == {"old": [0, 1]}
    assert ranks(lying(Layout("ddp", 2), device="cuda", kind="h100"), WIDE, {}) == {"big": [0, 1]}


def test_each_machine_counts_its_own_gpus() -> None:
    places = place(gang(8, "cuda"), free(BOTH, {}), BOTH)
    assert places is not None
    assert [p.gpus for p in places] == [[0, 1, 2, 3]] * 2
    assert [p.ranks for p in places] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_machine_that_is_gone_frees_nothing_and_holds_nothing() -> None:
    left = free(TWO, {"b": held(2, machine="gone")})
    assert left["a"].cpus == 2


def test_what_no_machine_has_is_waited_for_by_name() -> None:
    plans = {"a": lying(Layout("ddp", 2), kind="H100", labels={"zone": "c"})}
    _, waits = decide(queued("a"), plans.__getitem__, {}, WIDE)
    assert waits == {"a": "waits for a machine with H100, zone=c: there is none"}
