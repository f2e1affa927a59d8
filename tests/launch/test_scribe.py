"""What a driver on another cluster says, taken down here once."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.examples import example_plan
from turnaround.errors import PlanError
from turnaround.journal import Journal
from turnaround.launch.remote import MARK, Remote
from turnaround.launch.scribe import Scribe
from turnaround.pool.head.driver import MARK as PRINTED
from turnaround.pool.machines import Machine, inventory, told
from turnaround.snapshot import parcel
from turnaround.spec import Cluster, Event, Status


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    journal.submit(example_plan(), "reverse-22222")
    return journal


def event(kind: str, seq: int = 0, **data: Any) -> dict[str, Any]:
    return {"event": {"kind": kind, "data": data, "time": 5.0, "attempt": 1, "seq": seq}}


def status(name: str) -> dict[str, Any]:
    return event("status", status=name, reason="")


def row(journal: Journal, status: str, **fields: Any) -> dict[str, Any]:
    there = dataclasses.asdict(journal.run("reverse-22222"))
    return {"row": {**there, "status": status, "attempt": 1, **fields}}


LINES = [
    status("QUEUED"),
    status("RUNNING"),
    event("metrics", 1, step=1),
    event("metrics", 2, step=2),
]


def test_a_run_ends_as_its_row_there_says(journal: Journal) -> None:
    end = row(journal, "SUCCEEDED", exit_code=0, summary={"steps": 2}, ended=9.0)
    assert Scribe(journal, "reverse-22222").listen(iter([*LINES, end]))
    run = journal.run("reverse-22222")
    assert (run.status, run.exit_code, run.ended) == (Status.SUCCEEDED, 0, 9.0)
    assert run.summary == {"steps": 2}


def test_what_is_heard_later_has_happened_when_it_did(journal: Journal) -> None:
    Scribe(journal, "reverse-22222").listen(iter(LINES))
    (began,) = (e for e in journal.events("reverse-22222") if e.data.get("status") == "RUNNING")
    assert began.time == 5.0
    assert journal.run("reverse-22222").started == 5.0


def test_who_listens_again_from_the_first_line_takes_nothing_down_twice(journal: Journal) -> None:
    assert Scribe(journal, "reverse-22222").listen(iter(LINES))
    more = event("metrics", 3, step=3)
    assert Scribe(journal, "reverse-22222").listen(iter([*LINES, more]))
    metrics = [e.seq for e in journal.events("reverse-22222") if e.kind == "metrics"]
    assert metrics == [1, 2, 3]
    assert journal.run("reverse-22222").status is Status.RUNNING


@pytest.mark.parametrize("at", range(len(LINES)))
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_who_is_killed_at_a_line_takes_it_down_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, at: int, before: bool
) -> None:
    take = Scribe._event

    def killed(scribe: Scribe, event: Event) -> None:
        if not before:
            take(scribe, event)
        raise KeyboardInterrupt

    Scribe(journal, "reverse-22222").listen(iter(LINES[:at]))
    with monkeypatch.context() as patch:
        patch.setattr(Scribe, "_event", killed)
        with pytest.raises(KeyboardInterrupt):
            Scribe(journal, "reverse-22222").listen(iter(LINES))
    journal.append("reverse-22222", Event("notice", {"message": "of somebody else"}, 6.0))
    for _ in range(2):
        assert Scribe(journal, "reverse-22222").listen(iter(LINES))
    told = [e.data.get("status", e.seq) for e in journal.events("reverse-22222")]
    assert [word for word in told if word] == ["QUEUED", "RUNNING", 1, 2]


def test_who_is_interrupted_while_it_notes_a_line_loses_none(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(path: Path, text: str) -> None:
        path.open("w").close()
        raise KeyboardInterrupt

    Scribe(journal, "reverse-22222").listen(iter(LINES[:3]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut_short)
        with pytest.raises(KeyboardInterrupt):
            Scribe(journal, "reverse-22222").listen(iter(LINES))
    assert Scribe(journal, "reverse-22222").listen(iter(LINES))
    metrics = [e.seq for e in journal.events("reverse-22222") if e.kind == "metrics"]
    assert metrics == [1, 2]


def test_what_the_run_left_behind_is_here_too(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "state.json").write_text("{}")
    packed = parcel.pack(tmp_path / "best")
    parts = [packed[:1000], packed[1000:], b""]
    names = ["checkpoints/best-00000002", "checkpoints/../../outside"]
    lines = [{"file": n, "part": base64.b64encode(p).decode()} for n in names for p in parts]
    Scribe(journal, "reverse-22222").listen(iter(lines))
    kept = journal.folder("reverse-22222") / "checkpoints"
    assert (kept / "best-00000002" / "state.json").read_text() == "{}"
    assert not list(tmp_path.glob("**/outside"))


def test_a_refusal_ends_the_run_with_what_was_said(journal: Journal) -> None:
    told = {"kind": "PlanError", "message": "no such recipe", "hint": "did you mean it?"}
    Scribe(journal, "reverse-22222").listen(iter([{"refused": told}]))
    run = journal.run("reverse-22222")
    assert (run.status, run.exit_code) == (Status.FAILED, 2)
    assert run.reason == "no such recipe\n  → did you mean it?"


def test_a_driver_that_said_nothing_is_told_from_one_that_did(journal: Journal) -> None:
    assert not Scribe(journal, "reverse-22222").listen(iter([]))


def test_the_driver_marks_its_lines_as_they_are_looked_for() -> None:
    assert PRINTED == MARK


def test_a_cluster_needs_an_address(journal: Journal) -> None:
    with pytest.raises(PlanError, match="cluster=remote needs the address of a cluster"):
        Remote(None, journal)


# ── machines ──

NODE = {
    "NodeID": "4f1c",
    "NodeManagerAddress": "10.0.0.7",
    "Resources": {"CPU": 16.0, "GPU": 8.0, "accelerator_type:H100": 1.0},
    "Labels": {"zone": "b", "ray.io/node-id": "4f1c"},
}


def test_a_node_of_rays_is_a_machine() -> None:
    machine = told(NODE)
    assert (machine.cpus, machine.gpus, machine.kind, machine.head) == (16, 8, "H100", False)


def test_hints_that_fit_nothing_are_answered_with_what_there_is() -> None:
    machines = [told(NODE), Machine("a", "10.0.0.1", 4, 0, head=True)]
    assert inventory(machines, Cluster(labels={"zone": "b"})).gpus == 8
    with pytest.raises(PlanError, match="no machine of the cluster has zone=c") as error:
        inventory(machines, Cluster(labels={"zone": "c"}))
    assert error.value.hint == "there are zone=b"
    with pytest.raises(PlanError, match=r"cluster\.kind=V100") as error:
        inventory(machines, Cluster(kind="V100"))
    assert "H100" in error.value.hint
