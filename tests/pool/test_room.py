"""Parts of devices: what is left of them, and who shares one."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from tests.examples import example_plan
from turnaround.pool.machines import Machine
from turnaround.pool.node.gang import Placement
from turnaround.pool.queue.queue import Queue
from turnaround.pool.queue.room import Free, Places, beside, free, place
from turnaround.pool.queue.waiting import Holder, Waiting
from turnaround.spec import Layout, Plan

TWO = [Machine("a", "127.0.0.1", cpus=2, gpus=0, head=True)]
GPUS = [Machine("a", "127.0.0.1", cpus=8, gpus=2, head=True)]


def part(share: float | None, device: Literal["cpu", "cuda"] = "cuda", threads: int = 1) -> Plan:
    plan = example_plan()
    cluster = replace(plan.cluster, device=device, threads=threads, share=share)
    return replace(plan, layout=Layout(), cluster=cluster)


def gpu(*indices: int, share: float = 1) -> Places:
    return [Placement(gpus=list(indices), ranks=[0], machine="a", share=share)]


def queue(*plans: Plan, machines: list[Machine] = GPUS) -> Queue:
    made = Queue(machines)
    for nth, plan in enumerate(plans):
        made.add(Waiting(f"run{nth}", plan, submitted=float(nth)))
    return made


def test_half_a_gpu_is_taken_and_given_back() -> None:
    left = free(GPUS, {"b": gpu(0, share=0.5)})["a"]
    assert left == Free(8, (1,), ((0, 0.5),))
    assert left.without(gpu(0, share=0.5)[0]) == Free(8, (1,))
    assert left.plus(gpu(0, share=0.5)[0]) == Free(8, (0, 1))
    assert left.without(gpu(1)[0]).plus(gpu(1)[0]) == left


def test_runs_share_a_gpu_only_where_there_are_more_of_them_than_gpus() -> None:
    starts = queue(*[part(0.5)] * 5).decide(0.0).starts
    assert [places[0].gpus for places in starts.values()] == [[0], [1], [0], [1]]
    assert {places[0].share for places in starts.values()} == {0.5}


def test_a_quarter_fits_beside_a_half_but_no_second_half_does() -> None:
    left = free(GPUS[:1], {"b": gpu(1), "c": gpu(0, share=0.5), "d": gpu(0, share=0.25)})
    assert place(part(0.5), left, GPUS) is None
    assert place(part(0.25), left, GPUS) == gpu(0, share=0.25)


def test_a_run_that_wants_a_whole_gpu_waits_for_one() -> None:
    made = queue(part(None))
    for name, index in (("b", 0), ("c", 1)):
        made.hold(name, Holder(gpu(index, share=0.5)))
    assert made.decide(0.0).waits == {"run0": "waits for 1 GPU: 0 free, held by b, c"}
    made.release("c")
    assert made.decide(0.0).starts == {"run0": gpu(1)}


def test_who_waits_for_a_part_says_so() -> None:
    made = queue(part(0.25))
    made.hold("b", Holder(gpu(0, 1)))
    assert made.decide(0.0).waits == {"run0": "waits for 0.25 GPU: 0 free, held by b"}
    made = queue(part(0.5, "cpu"), machines=TWO)
    made.hold("b", Holder([Placement(cpus=1.75, ranks=[0], machine="a", share=0.25)]))
    assert made.decide(0.0).waits == {"run0": "waits for 0.5 CPU: 0.25 free, held by b"}


def test_a_cores_parts_are_counted_with_the_threads_of_a_run() -> None:
    starts = queue(*[part(0.25, "cpu", threads=2)] * 5, machines=TWO).decide(0.0).starts
    assert [places[0].cpus for places in starts.values()] == [0.5] * 4


def test_a_sweeps_parts_count_as_parts_of_its_share() -> None:
    made = queue()
    for nth in range(4):
        made.hold(f"b{nth}", Holder(gpu(nth // 2, share=0.5), group="sweep"))
    assert made.shares == {"sweep": 2.0}
    made.release("b0")
    assert made.shares == {"sweep": 1.5}


def test_neighbours_are_those_on_one_device() -> None:
    half = gpu(0, share=0.5)
    assert beside(half, half)
    assert not beside(half, gpu(1, share=0.5))
    assert not beside(gpu(0), gpu(0))  # two attempts of one run, and no neighbours
    core = [Placement(cpus=0.5, ranks=[0], machine="a", share=0.5)]
    assert beside(core, core)
    assert not beside(core, [replace(core[0], machine="b")])
    assert not beside(core, half)
