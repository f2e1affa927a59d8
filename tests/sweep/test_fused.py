"""Successive halving of trials that are trained as one."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.engine.fused.test_equal import by_itself
from tests.engine.trials import PROJECT
from tests.sweep.test_bundle import Stand
from turnaround.config import project_root
from turnaround.engine import report
from turnaround.engine.fused import gate
from turnaround.engine.fused.gate import Choice
from turnaround.launch.pool import Pool
from turnaround.spec import Cluster, Event, Inventory, Status
from turnaround.sweep import ask
from turnaround.sweep.bundle import Bundles
from turnaround.sweep.drive import ENDED, Driver
from turnaround.sweep.entry import enter
from turnaround.sweep.question import Mark, Settings, planned

WORDS = ["recipe=blobs", "cluster.device=cpu", "tracking=none", "precision=fp64"]
WORDS += ["data.batch=10", "budget.steps=90", "evaluate.every=10", "evaluate.score=right"]
SPACE = ["optim.lr=tag(log,interval(1e-4,1.0))", "optim.weight_decay=interval(0.0,0.1)"]


class Whole(Stand):
    """With devices."""

    def inventory(self, cluster: Cluster) -> Inventory | None:
        return Inventory(1, 0)


class Sweep:
    """Nine trials, fused, with a stand-in for the pool."""

    def __init__(self, project: Path, home: Path, name: str) -> None:
        shutil.copy(PROJECT / "recipes" / "blobs.py", project / "recipes")
        settings = Settings(name=name, trials=9, fuse=True, sampler="random")  # type: ignore[arg-type]  # a word
        made = ask.ask([*WORDS, *SPACE], settings, project_root(project), home)
        self.question = replace(made, words=[*WORDS, *SPACE])
        self.home = home
        self.stand = Whole(home)
        self.id = enter(self.question, self.stand.journal).id
        self.stand.journal.mark(self.id, Status.RUNNING, attempt=1)

    def drive(self, enough: Callable[[Driver], bool] = lambda driver: False) -> Driver:
        """Until it is over, or enough for now, by a new driver."""
        hand = Bundles(cast(Pool, self.stand), self.id, devices=1)
        driver = Driver(self.home, self.id, hand)
        driver.pick_up()
        for _ in range(100):
            if enough(driver):
                return driver
            with hand.turn():
                why = driver.tick()
            if why:
                assert why == ENDED
                return driver
            for run in self.stand.bundles():
                if run.status is Status.QUEUED:
                    self.stand.work(run.id)
        raise AssertionError("it does not end")

    def carried(self) -> list[int]:
        """Members of each bundle, the first one first."""
        bundles = sorted(self.stand.bundles(), key=lambda run: run.submitted)
        return [len(self.stand.journal.plan(run.id).carries) for run in bundles]

    def losses(self, run: str) -> dict[int, float]:
        """Every training loss; no step was trained twice."""
        told = [event for event in self.stand.journal.events(run) if _loss(event)]
        assert max(Counter(event.data["step"] for event in told).values()) == 1
        return {event.data["step"]: event.data["values"]["loss"] for event in told}


def _loss(event: Event) -> bool:
    return event.kind == "metrics" and event.data["split"] == "train"


@pytest.fixture(autouse=True)
def fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is goes together at once, whatever the gate would find."""
    together = lambda solo, grouped, trials, work, clock: Choice(trials)  # noqa: E731  # a stub
    monkeypatch.setattr(gate, "choose", together)
    monkeypatch.setattr(report, "EARLY", 90)  # which later steps are points is told by the clock


def test_a_rung_is_trained_as_one_and_its_survivors_go_on_as_one(
    project: Path, own: Path, tmp_path: Path
) -> None:
    sweep = Sweep(project, own, "asha")
    driver = sweep.drive()
    assert driver.steps == [10, 30, None]
    assert sweep.carried() == [9, 3, 1]
    ends = Counter(max(trial.results) for trial in driver.state.trials.values())
    assert ends == {0: 6, 1: 2, 2: 1}
    for trial in driver.state.trials.values():
        plan = planned(sweep.question, trial.values, Mark(sweep.id, trial.number))
        alone = by_itself(plan, tmp_path).curve()
        mine = sweep.losses(trial.sent[0].run)
        last = driver.steps[max(trial.results)] or 90
        assert max(mine) == last
        assert mine == pytest.approx({k: alone[k] for k in mine}, rel=1e-9)


def test_a_driver_that_is_killed_between_rungs_trains_nothing_twice(
    project: Path, own: Path
) -> None:
    sweep = Sweep(project, own, "asha")
    sweep.drive(lambda driver: driver.state.told >= 9)
    driver = sweep.drive()
    assert sweep.carried() == [9, 3, 1]
    for trial in driver.state.trials.values():
        assert sweep.losses(trial.sent[0].run)


def test_brackets_of_hyperband_are_trained_together(project: Path, own: Path) -> None:
    sweep = Sweep(project, own, "hyperband")
    driver = sweep.drive()
    assert sweep.carried()[0] == 9
    assert {trial.first for trial in driver.state.trials.values()} == {0, 1, 2}
    assert driver.state.whole(2)
