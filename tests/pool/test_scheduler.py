"""The scheduler without Ray: a machine of the test's own says what becomes of gangs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.journal import Journal
from turnaround.pool.machines import Machine
from turnaround.pool.messages import wire
from turnaround.pool.node.gang import Placement
from turnaround.pool.node.outcome import Outcome
from turnaround.pool.scheduler import scheduler
from turnaround.spec import Event, Layout, Plan, Status, to_dict

NOW = {"op": "stop", "how": {"grace": 0}}


@dataclass
class One:
    """What the scheduler needs of a cluster: one machine of two cores, and its gangs."""

    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    wakes: list[Callable[[], None]] = field(default_factory=list)  # of who hears of changes
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # a gang, and what
    home: str = "here"
    heard: bool = True

    def machines(self) -> list[Machine]:
        """It alone."""
        return [Machine("here", "127.0.0.1", cpus=2, gpus=0)]

    def gangs(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Their states."""
        return {key: {"here": dict(state)} for key, state in self.states.items()}

    def start(self, key: str, plan: Plan, places: list[Placement]) -> None:
        """They run at once."""
        common = {"codes": [], "stopping": False, "outcome": None}
        self.states[key] = {"running": True, "placement": asdict(places[0]), **common}

    def tell(self, key: str, request: dict[str, Any]) -> None:
        """They hear; who has to leave at once does."""
        self.told.append((key, request))
        if request == NOW:
            self.states[key] |= {"outcome": asdict(Outcome(75)), "codes": [[0, 75, 1.0]]}

    def forget(self, key: str) -> None:
        """Their end is in the journal."""
        del self.states[key]

    def end(self, key: str) -> None:
        """The gang has done all."""
        self.states[key] |= {"outcome": asdict(Outcome(0)), "codes": [[0, 0, 1.0]]}
        self.wakes[-1]()

    def lose(self, key: str, why: str) -> dict[str, Any]:
        """Nobody knows of the gang any more; what was known."""
        self.lost[key] = why
        known = self.states.pop(key)
        self.wakes[-1]()
        return known


Serve = Callable[[], scheduler.Scheduler]


@pytest.fixture
def machine() -> One:
    return One()


@pytest.fixture
def serve(tmp_path: Path, machine: One, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A scheduler of that machine; asked again, the first does nothing more."""
    made: list[tuple[scheduler.Scheduler, Any]] = []

    def fresh(journal: Journal, agent: Any, wake: Callable[[], None]) -> One:
        machine.wakes.append(wake)
        return replace(machine)  # with the same gangs

    def serve() -> scheduler.Scheduler:
        for server, seen in made:
            with server._lock:
                seen.heard = False
        server = scheduler.Scheduler(str(tmp_path), None)
        made.append((server, server._cluster))
        return server

    monkeypatch.setattr(scheduler, "Cluster", fresh)
    monkeypatch.setattr(wire, "serve", lambda *_: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # of its sockets
    return serve


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def submit(server: scheduler.Scheduler, number: int = 0, **more: Any) -> str:
    """A run of that seed."""
    return ask(server, replace(example_plan(), seed=number, signature=f"s{number}"), **more)


def ask(server: scheduler.Scheduler, plan: Plan, **more: Any) -> str:
    """A run of that plan."""
    asked = {"op": "submit", "plan": to_dict(plan), "again": False, "spans": None}
    return str(server.handle({**asked, **more})["run"])


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.005)


def test_a_run_of_which_the_plan_is_torn_does_not_hold_up_the_others(
    serve: Serve, machine: One, journal: Journal
) -> None:
    server = serve()
    torn, good = submit(server, 1), submit(server, 2)
    until(lambda: len(machine.states) == 2)
    restarted = serve()  # it reads plans anew
    (journal.folder(torn) / "plan.json").write_text('{"recipe')
    for key in [*machine.states]:
        machine.end(key)
    third = submit(restarted, 3)
    until(lambda: journal.run(good).status.over and f"{third}/1" in machine.states)
    assert journal.run(good).status is Status.SUCCEEDED


def test_who_got_no_answer_and_asks_again_is_given_the_run_that_was_made(
    serve: Serve, journal: Journal
) -> None:
    began = time.time()
    first = submit(serve(), again=True, since=began)
    assert submit(serve(), again=True, since=began) == first
    assert submit(serve(), again=True, since=time.time()) != first
    assert len(journal.runs()) == 2


def test_a_name_of_which_a_crash_left_only_the_folder_can_be_given(
    serve: Serve, journal: Journal
) -> None:
    journal.folder("lm-abcde").mkdir(parents=True)
    assert submit(serve(), run="lm-abcde") == "lm-abcde"
    assert journal.run("lm-abcde").devices == 1


def test_a_scheduler_that_is_replaced_amid_a_hundred_runs_ends_each_once(
    serve: Serve, machine: One, journal: Journal
) -> None:
    first = serve()
    runs = [submit(first, number) for number in range(100)]
    for number in range(100):
        if number == 37:
            serve()
        until(lambda: any(not state["outcome"] for state in [*machine.states.values()]))
        key = next(key for key, state in [*machine.states.items()] if not state["outcome"])
        machine.end(key)
    until(lambda: journal.count(Status.SUCCEEDED) == 100)
    for run in runs:
        said = [e.data["status"] for e in journal.events(run) if e.kind == "status"]
        assert said[-1] == "SUCCEEDED"
        assert (said.count("SUCCEEDED"), journal.run(run).attempt) == (1, 1)


def test_who_was_lost_with_its_machine_says_which(
    serve: Serve, machine: One, journal: Journal
) -> None:
    run = submit(serve())
    until(lambda: f"{run}/1" in machine.states)
    machine.lose(f"{run}/1", "machine 10.0.0.7 was lost")
    until(lambda: f"{run}/2" in machine.states)
    said = [e.data["message"] for e in journal.events(run) if e.kind == "notice"]
    assert said == ["machine 10.0.0.7 was lost; restart 1/3 from the last checkpoint"]


def test_an_attempt_that_was_given_up_and_lives_after_all_is_ended(
    serve: Serve, machine: One, journal: Journal
) -> None:
    server = serve()
    run = submit(server)
    until(lambda: f"{run}/1" in machine.states)
    known = machine.lose(f"{run}/1", "machine 10.0.0.7 was lost")
    until(lambda: f"{run}/2" in machine.states)
    machine.states[f"{run}/1"] = known
    machine.wakes[-1]()
    until(lambda: f"{run}/1" not in machine.states)
    assert machine.told == [(f"{run}/1", NOW)]
    assert not machine.states[f"{run}/2"]["outcome"]


def test_a_gang_of_a_run_that_was_removed_is_ended(
    serve: Serve, machine: One, journal: Journal
) -> None:
    run = submit(serve())
    until(lambda: f"{run}/1" in machine.states)
    journal.forget(run)
    machine.wakes[-1]()
    until(lambda: not machine.states)
    assert machine.told == [(f"{run}/1", NOW)]


def test_a_run_hears_that_it_has_to_make_room_when_its_event_file_says_so(
    serve: Serve, machine: One, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Event] = []

    def append(journal: Journal, run: str, *told: Event) -> None:
        if any(event.kind == "yields" for event in told):
            made.extend(told)
            if len(made) == 1:
                raise OSError("no space left on device")
        really(journal, run, *told)

    really = Journal.append
    monkeypatch.setattr(Journal, "append", append)
    server = serve()
    plan = example_plan()
    low = replace(plan.cluster, priority=-1)
    batch = ask(server, replace(plan, cluster=low))
    until(lambda: f"{batch}/1" in machine.states)
    ask(server, replace(plan, layout=Layout("ddp", 2), signature="both cores"))
    until(lambda: machine.told)
    assert machine.told == [(f"{batch}/1", {"op": "stop"})]
    assert len(made) == 2
