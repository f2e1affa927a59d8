"""What starts and what waits, decided without any process."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

from tests.examples import example_plan, example_run
from turnaround.journal import Run
from turnaround.pool.gang import Placement
from turnaround.pool.queue import decide, free
from turnaround.spec import Inventory, Layout, Plan

TWO = Inventory(cpus=2, gpus=0)
FOUR_GPUS = Inventory(cpus=8, gpus=4)


def gang(devices: int, device: Literal["cpu", "cuda"] = "cpu", threads: int = 1) -> Plan:
    plan = example_plan()
    cluster = replace(plan.cluster, device=device, threads=threads)
    return replace(plan, layout=Layout("ddp", devices), cluster=cluster)


def queued(*names: str) -> list[Run]:
    now = time.time()
    return [replace(example_run(name), submitted=now + i) for i, name in enumerate(names)]


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    plans = {"a": gang(2)}
    starts, waits = decide(queued("a"), plans.__getitem__, {"b": Placement(cpus=1)}, TWO)
    assert starts == {}
    assert waits == {"a": "waits for 2 CPU: 1 free, held by b"}


def test_nothing_overtakes_a_run_that_waits() -> None:
    plans = {"big": gang(2), "small": gang(1)}
    held = {"b": Placement(cpus=1)}
    starts, waits = decide(queued("big", "small"), plans.__getitem__, held, TWO)
    assert starts == {}
    assert waits["small"] == "waits its turn behind big"


def test_what_fits_together_starts_together() -> None:
    plans = {"a": gang(1), "b": gang(1), "c": gang(1)}
    starts, waits = decide(queued("a", "b", "c"), plans.__getitem__, {}, TWO)
    assert starts == {"a": Placement(cpus=1), "b": Placement(cpus=1)}
    assert waits == {"c": "waits for 1 CPU: 0 free, held by nobody"}


def test_threads_count_as_devices_of_the_cpu_but_never_more_than_there_are() -> None:
    plans = {"a": gang(1, threads=16)}
    starts, _ = decide(queued("a"), plans.__getitem__, {}, TWO)
    assert starts == {"a": Placement(cpus=2)}


def test_gpus_are_handed_out_by_index() -> None:
    plans = {"a": gang(2, "cuda"), "b": gang(1, "cuda")}
    starts, _ = decide(queued("a", "b"), plans.__getitem__, {"c": Placement(gpus=[1])}, FOUR_GPUS)
    assert starts == {"a": Placement(gpus=[0, 2]), "b": Placement(gpus=[3])}


def test_what_gangs_hold_is_not_free() -> None:
    left = free(FOUR_GPUS, {"a": Placement(gpus=[0, 3]), "b": Placement(cpus=3)})
    assert (left.cpus, left.gpus) == (5, (1, 2))
