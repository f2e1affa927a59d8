"""`update=auto`: a probe of this machine, and the plan it leads to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.trials import PROJECT
from turnaround import config, plan
from turnaround.errors import LaunchError, PlanError
from turnaround.forecast.modes import Rank
from turnaround.launch import facts, probe
from turnaround.plan import Facts
from turnaround.spec import Inventory, Layout, Plan

EVEN = Rank([0.1] * 4, 0.3, 0.0, 0.0)
SLOW = Rank([1.0] * 4, 3.0, 0.0, 0.0)
SHORT = ["recipe=digits", "budget.steps=4", "data.batch=16", "tracking=none", "cluster.device=cpu"]


def question(*words: str, cpus: int = 4) -> tuple[config.Config, Facts]:
    asked = config.compose([*SHORT, "update=auto", *words], PROJECT)
    return asked, facts.gather(asked, PROJECT, Inventory(cpus, 0))


def decided(*words: str, cpus: int = 4) -> Plan:
    """What comes of it on that many devices, of which the last is slow."""
    asked, found = question(*words, cpus=cpus)
    chosen, _ = probe.decide(asked, found, Path("/nowhere"))
    return plan.make(chosen, found)


@pytest.fixture
def straggler(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans of probes that were not made: their last rank is ten times as slow."""
    seen: list[Plan] = []

    def pretend(made: Plan, root: Path) -> list[Rank]:
        seen.append(made)
        return [EVEN] * (made.devices // made.layout.devices - 1) + [SLOW]

    monkeypatch.setattr(probe, "probed", pretend)
    return seen


def test_the_plan_holds_the_update_that_was_chosen(straggler: list[Plan]) -> None:
    made = decided()
    assert (made.update.name, made.update.groups, made.update.spares) == ("backup", 4, 1)
    assert made.devices == 4
    asked, found = question("update=backup", "update.groups=4", "update.spares=1")
    assert made.signature == plan.make(asked, found).signature


def test_the_copies_of_a_layout_may_be_grouped_anew(straggler: list[Plan]) -> None:
    made = decided("layout=ddp", "layout.replicate=3")
    assert (made.update.name, made.update.groups) == ("backup", 3)
    assert made.layout.name == "single"


def test_layouts_that_are_cut_up_are_probed_as_they_are(straggler: list[Plan]) -> None:
    made = decided("layout=fsdp", "layout.shard=2")
    assert straggler[0].layout == Layout("fsdp", shard=2)
    assert probe.offered(straggler[0]) == ["sync", "local"]
    assert made.devices == 4


def test_one_device_is_not_probed(straggler: list[Plan]) -> None:
    made = decided(cpus=1)
    assert (made.update.name, made.update.groups, made.layout.name) == ("sync", 1, "single")
    assert straggler == []


def test_another_cluster_is_not_probed(straggler: list[Plan]) -> None:
    with pytest.raises(PlanError, match="cannot probe the machines of another cluster"):
        decided("cluster=remote", "cluster.address=http://10.0.0.5:8265")


def test_without_a_probe_there_is_no_plan() -> None:
    with pytest.raises(PlanError, match="update=auto is chosen by a probe"):
        plan.make(*question())


def test_what_a_probe_found_holds_for_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, found = question("update=local", "update.groups=2")
    made = plan.make(asked, found)
    monkeypatch.setattr(probe, "_probe", lambda plan, root: [EVEN, SLOW])
    assert probe.probed(made, tmp_path) == [EVEN, SLOW]
    monkeypatch.setattr(probe, "_probe", lambda plan, root: [EVEN, EVEN])
    assert probe.probed(made, tmp_path) == [EVEN, SLOW]
    monkeypatch.setattr(probe, "FRESH", 0.0)
    assert probe.probed(made, tmp_path) == [EVEN, EVEN]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_probe_finds_the_straggler_and_leaves_nothing(tmp_path: Path) -> None:
    words = ["update.groups=3", "recipe.pause=0.02", "recipe.slow=2", "cluster=inline"]
    asked, found = question(*words)
    chosen, choice = probe.decide(asked, found, tmp_path)
    assert "because rank 2 is" in next(m for m in choice.modes if m.name == "sync").why
    assert chosen.update.name != "sync"
    (file,) = (tmp_path / "cache" / "probe").glob("*.json")
    assert len(json.loads(file.read_text())) == 3
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recipe_that_fails_says_so(tmp_path: Path) -> None:
    asked, found = question("update.groups=2")
    broken = replace(asked, recipe=replace(asked.recipe, knobs={"width": -1}))
    with pytest.raises(LaunchError, match="the probe for update=auto failed on rank"):
        probe.decide(broken, found, tmp_path)
