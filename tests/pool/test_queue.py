"""What starts, where it lies and what waits, decided without any process."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

from tests.examples import example_plan, example_run
from turnaround.journal import Run
from turnaround.pool.machines import Machine
from turnaround.pool.node.gang import Placement
from turnaround.pool.queue.queue import Queue, decide
from turnaround.pool.queue.room import Places, free, place
from turnaround.pool.queue.turn import Decision
from turnaround.pool.queue.waiting import Holder, Waiting
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
    plan = lying(Layout("hsdp", replicate=2, shard=2), spread=True)
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


# ── who goes first ──


def waiting(
    name: str, at: float = 0.0, devices: int = 1, takes: float | None = None, **more: Any
) -> Waiting:
    return Waiting(name, gang(devices), at, takes=takes, **more)


def play(queue: Queue, until: float, takes: dict[str, float] | None = None) -> dict[str, float]:
    """When each began, on a clock that goes from end to end; runs take what they said, or this."""
    began: dict[str, float] = {}
    ends: dict[str, float] = {}
    now = 0.0
    while now < until:
        for run, places in queue.decide(now).starts.items():
            asked = queue.waiting[run]
            queue.start(run, Holder.of(asked, places, now))
            began[run] = now
            ends[run] = now + ((takes or {}).get(run) or asked.takes or 1.0)
        now = min(ends.values(), default=until)
        for run in [run for run, end in ends.items() if end <= now]:
            queue.release(run)
            del ends[run]
    return began


def busy(queue: Queue, name: str = "busy", cpus: int = 1, until: float | None = None) -> None:
    queue.hold(name, Holder(held(cpus), 0.0, until, group="another"))


def test_of_two_sweeps_the_one_with_fewer_devices_goes_first() -> None:
    queue = Queue(TWO)
    queue.hold("a0", Holder(held(1), group="sweep-a"))
    for n in range(1, 4):
        queue.add(waiting(f"a{n}", at=n, group="sweep-a"))
        queue.add(waiting(f"b{n}", at=10 + n, group="sweep-b"))
    assert set(queue.decide(20.0).starts) == {"b1"}
    assert list(queue.order())[:4] == ["b1", "a1", "b2", "a2"]


def test_a_sweep_of_a_thousand_does_not_keep_a_lone_run_waiting() -> None:
    queue = Queue(TWO)
    for n in range(1000):
        queue.add(waiting(f"a{n:03}", at=n, group="sweep-a", takes=10.0))
    queue.add(waiting("lone", at=5000.0, takes=10.0))
    assert play(queue, until=30.0)["lone"] == 0.0


def test_a_short_run_passes_a_long_one_that_came_a_little_earlier() -> None:
    queue = Queue(TWO)
    busy(queue, cpus=2, until=5.0)
    queue.add(waiting("long", at=0.0, takes=3600.0))
    queue.add(waiting("short", at=600.0, takes=10.0))
    assert list(queue.order()) == ["short", "long"]


def test_a_long_run_is_passed_only_for_a_share_of_its_own_length() -> None:
    queue = Queue(TWO)
    busy(queue, cpus=2, until=5.0)
    queue.add(waiting("long", at=0.0, takes=3600.0))
    queue.add(waiting("short", at=7201.0, takes=10.0))
    assert list(queue.order()) == ["long", "short"]


def test_what_is_over_before_a_gang_could_start_may_pass_it() -> None:
    queue = Queue(TWO)
    busy(queue, until=100.0)
    queue.add(waiting("gang", at=0.0, devices=2, takes=50.0))
    queue.add(waiting("quick", at=1000.0, takes=90.0))
    queue.add(waiting("slow", at=1000.0, takes=110.0))
    assert set(queue.decide(0.0).starts) == {"quick"}


def test_nothing_passes_a_gang_while_nobody_knows_when_it_can_start() -> None:
    queue = Queue(TWO)
    busy(queue, until=None)
    queue.add(waiting("gang", at=0.0, devices=2, takes=50.0))
    queue.add(waiting("quick", at=1000.0, takes=0.1))
    made = queue.decide(0.0)
    assert (made.starts, made.waits["quick"]) == ({}, "waits its turn behind gang")


def test_what_leaves_enough_for_a_gang_may_pass_it_however_long_it_takes() -> None:
    queue = Queue([Machine("a", "127.0.0.1", cpus=4, gpus=0)])
    busy(queue, cpus=3, until=100.0)
    queue.add(waiting("gang", at=0.0, devices=3))
    queue.add(waiting("one", at=1.0))
    queue.add(waiting("two", at=2.0))
    assert set(queue.decide(0.0).starts) == {"one"}


def test_a_gang_is_not_starved_by_a_stream_of_small_runs() -> None:
    queue = Queue(TWO)
    queue.add(waiting("first", at=0.0, takes=7.0))
    queue.add(waiting("gang", at=0.0, devices=2, takes=5.0))
    for n in range(200):
        queue.add(waiting(f"small{n:03}", at=5 + 0.1 * n, takes=3.0))
    assert play(queue, until=300.0)["gang"] <= 7.0


def test_forecasts_that_are_far_too_short_delay_a_gang_by_one_run_at_most() -> None:
    queue = Queue(TWO)
    queue.add(waiting("first", at=0.0, takes=7.0))
    queue.add(waiting("gang", at=0.0, devices=2, takes=5.0))
    for n in range(50):
        queue.add(waiting(f"small{n:03}", at=20.0 + n, takes=3.0))
    late = {f"small{n:03}": 30.0 for n in range(50)}
    assert play(queue, until=300.0, takes=late)["gang"] <= 30.0


def test_runs_that_need_other_devices_do_not_wait_for_each_other() -> None:
    queue = Queue(GPUS)
    queue.hold("b", Holder(held(8)))
    queue.add(waiting("cores", at=0.0))
    queue.add(Waiting("gpu", gang(4, "cuda"), submitted=1.0))
    assert set(queue.decide(0.0).starts) == {"gpu"}


# ── making room ──


def batch(queue: Queue, *names: str, until: float | None = None) -> None:
    for nth, name in enumerate(names):
        queue.hold(name, Holder(held(1), float(nth), until, -10, "sweep-a"))


def test_batch_work_makes_room_for_a_run_that_somebody_waits_for() -> None:
    queue = Queue(TWO)
    batch(queue, "a", "b")
    queue.add(waiting("mine", at=5.0))
    made = queue.decide(5.0)
    assert made.yields == {"b": "mine"}  # what began last
    assert made.waits == {"mine": "waits for b, which saves and makes room"}
    queue.yields("b")
    assert queue.decide(6.0).yields == {}  # it is asked once
    queue.release("b")
    assert set(queue.decide(7.0).starts) == {"mine"}


def test_no_more_of_it_makes_room_than_must() -> None:
    queue = Queue([Machine("a", "127.0.0.1", cpus=4, gpus=0)])
    batch(queue, "a", "b", "c", "d")
    queue.add(waiting("mine", devices=2))
    assert set(queue.decide(9.0).yields) == {"c", "d"}


def test_nobody_makes_room_where_that_does_not_help() -> None:
    queue = Queue(TWO)
    batch(queue, "a")
    busy(queue)
    queue.add(waiting("mine", devices=2))
    assert queue.decide(9.0).yields == {}


def test_batch_work_does_not_make_room_for_batch_work() -> None:
    queue = Queue(TWO)
    batch(queue, "a", "b")
    queue.add(waiting("trial", priority=-1))
    assert queue.decide(9.0).yields == {}


def test_what_is_over_in_a_moment_need_not_save() -> None:
    queue = Queue(TWO)
    batch(queue, "a", "b", until=12.0)
    queue.add(waiting("mine"))
    assert queue.decide(9.0).yields == {}


def test_what_was_to_be_over_long_ago_saves_all_the_same() -> None:
    queue = Queue(TWO)
    batch(queue, "a", "b", until=12.0)
    queue.add(waiting("mine"))
    assert queue.decide(21.0).yields == {}
    assert queue.decide(23.0).yields == {"b": "mine"}


# ── what it costs ──


def test_a_decision_looks_at_few_runs_of_a_long_queue() -> None:
    queue = Queue(TWO)
    busy(queue, cpus=1, until=50.0)
    queue.add(waiting("gang", at=-1e6, devices=2))
    for n in range(10_000):
        queue.add(waiting(f"a{n}", at=n, group=f"sweep-{n % 20}", takes=100.0 + n % 7))
    made = queue.decide(0.0)
    assert made.starts == {}
    assert len(made.waits) < 100


def test_asking_changes_nothing() -> None:
    queue = Queue(TWO)
    batch(queue, "a", "b", until=100.0)
    queue.add(waiting("mine", devices=2))
    queue.add(waiting("other", takes=10.0))

    def asked() -> Decision:
        return queue.decide(9.0)

    assert asked() == asked()
    assert set(queue.waiting) == {"mine", "other"}


def test_who_is_removed_and_comes_again_waits_once() -> None:
    queue = Queue(TWO)
    queue.add(waiting("a", at=1.0))
    queue.add(waiting("a", at=2.0))
    assert list(queue.order()) == ["a"]
    queue.remove("a")
    queue.remove("a")
    assert list(queue.order()) == []
